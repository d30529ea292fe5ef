/** ONNX Runtime Web as one function; used by the page's worker, and by Node where the artifact is checked. */

/**
 * Open a model.
 *
 * ort: the imported library; paths: {mjs, wasm}, URLs of what it loads itself; model: its bytes; provider: "wasm" or
 * "webgpu"; threads: of WebAssembly. Returns run(planes): {restored, agreement, scores}; without a guard the last two are null.
 */
export async function open({ ort, paths, model, provider, threads }) {
  ort.env.wasm.wasmPaths = paths;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [provider],
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
  });
  return async ({ height, width, data }) => {
    const image = new ort.Tensor("float32", data, [1, 3, height, width]);
    const outputs = await session.run({ image });
    const restored = { height, width, data: outputs.restored.data };
    const agreement = outputs.agreement ? outputs.agreement.data[0] : null;
    const scores = outputs.scores ? { shape: outputs.scores.dims.slice(1), data: [...outputs.scores.data] } : null;
    return { restored, agreement, scores };
  };
}
