/** Reading the two kinds of .npy that an artifact carries: (1, 3, H, W) of uint8 or float32. */

/** Planes of a file's bytes; uint8 becomes [0, 1]. An Error says what it is instead. */
export function planesFromNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  const magic = "\x93NUMPY";
  if ([...magic].some((letter, i) => bytes[i] !== letter.charCodeAt(0))) throw new Error("not a .npy file");
  const view = new DataView(buffer);
  const [length, start] = bytes[6] === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const shape = /'shape': \((\d+), (\d+), (\d+), (\d+)\)/.exec(header)?.slice(1).map(Number);
  const kind = /'descr': '([^']+)'/.exec(header)?.[1];
  if (!shape || shape[0] !== 1 || shape[1] !== 3 || header.includes("True") || !["|u1", "<f4"].includes(kind)) {
    throw new Error(`not a picture: ${header.trim()}`);
  }
  const values = buffer.slice(start + length);
  const data = kind === "<f4" ? new Float32Array(values) : Float32Array.from(new Uint8Array(values), (v) => v / 255);
  return { height: shape[2], width: shape[3], data };
}
