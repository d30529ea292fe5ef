/**
 * Service worker: once loaded, the page works without a network, and every answer carries the headers that let
 * WebAssembly use threads and keep pictures on the device, whatever the server sends.
 *
 * Files are kept under their sha256 in artifact.json, which is asked for anew with every visit: another artifact brings
 * its own files, and offline the last one is whole. Where a server answers that there is no artifact any more, somebody
 * else has moved in, and this worker goes.
 */

const SCOPE = self.registration.scope;
const CACHE = `moceir-edge ${SCOPE}`;
const FACTS = "artifact.json";
const LATER = /^(ort\/.*(webgpu|asyncify)|service\.js$)/; // fetched when asked for, if ever

const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

self.addEventListener("install", (event) => event.waitUntil(kept().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(SCOPE)) return;
  const path = new URL(url).pathname.slice(new URL(SCOPE).pathname.length) || "index.html";
  event.respondWith(answered(path, event.request));
});

async function answered(path, request) {
  const visit = path === "index.html" || path === FACTS;
  const facts = visit ? await latest() : await known();
  if (path === FACTS && facts) return isolated(new Response(JSON.stringify(facts), JSON_ANSWER));
  const entry = facts?.files[path];
  if (!entry) return visit ? fetch(request, { cache: "no-cache" }) : fetch(request);
  return isolated((await stored(path, entry.sha256)) ?? (await fetch(request)));
}

const JSON_ANSWER = { headers: { "Content-Type": "application/json" } };

/** artifact.json of the server, where it can be reached, else the last one; null where it is gone. */
async function latest() {
  let answer;
  try {
    answer = await fetch(new URL(FACTS, SCOPE), { cache: "no-cache" });
  } catch {
    return known();
  }
  const facts = answer.ok ? await answer.json().catch(() => null) : null;
  if (!facts?.files) {
    await caches.delete(CACHE);
    await self.registration.unregister();
    return null;
  }
  const cache = await caches.open(CACHE);
  await cache.put(new URL(FACTS, SCOPE), new Response(JSON.stringify(facts), JSON_ANSWER));
  return facts;
}

async function known() {
  const answer = await (await caches.open(CACHE)).match(new URL(FACTS, SCOPE));
  return answer ? answer.json() : null;
}

/** A file of the artifact, kept from now on; null where the server has none of it. */
async function stored(path, sha256) {
  const cache = await caches.open(CACHE);
  const key = new URL(`${path}?${sha256}`, SCOPE);
  const there = await cache.match(key);
  if (there) return there;
  const answer = await fetch(new URL(path, SCOPE), { cache: "no-cache" });
  if (!answer.ok) return null;
  await cache.put(key, answer.clone());
  return answer;
}

/** Everything that a first visit needs, and nothing of another artifact. */
async function kept() {
  const facts = await latest();
  if (!facts) throw new Error("no artifact is here");
  const files = Object.entries(facts.files).filter(([path]) => !LATER.test(path));
  await Promise.all(files.map(([path, { sha256 }]) => stored(path, sha256)));
  const wanted = new Set(Object.entries(facts.files).map(([path, { sha256 }]) => new URL(`${path}?${sha256}`, SCOPE).href));
  wanted.add(new URL(FACTS, SCOPE).href);
  const cache = await caches.open(CACHE);
  for (const { url } of await cache.keys()) if (!wanted.has(url)) await cache.delete(url);
}

self.addEventListener("message", ({ data, ports: [port] }) => {
  if (data === "keep") kept().then(() => port.postMessage("kept"), (error) => port.postMessage(error.message));
});

function isolated(answer) {
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
