// Public clients of ComfyUI that run under Node, against the mock and by hand: like public_clients.py.
// Where `npm install @saintno/comfyui-sdk@0.3.1 @stable-canvas/comfyui-client@1.5.9 ws` was called:
// `node …/tests/services/mock_comfyui/public_clients.mjs http://127.0.0.1:6889`.

import { createRequire } from "node:module";

const url = process.argv[2];
const require = createRequire(`${process.cwd()}/`);
let color = Date.now() % 16_000_000;

const graph = () => ({
  1: { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size: 1, color: color++ } },
  2: { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "public" } },
});

let failed = 0;
async function call(name, work) {
  const limit = new Promise((_, no) => setTimeout(() => no(new Error("no end in 20 s")), 20_000));
  try {
    const found = await Promise.race([work(), limit]);
    console.log(`ok    ${name}: ${String(JSON.stringify(found)).slice(0, 80)}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILS ${name}: ${String(error).slice(0, 100)}`);
  }
}

const { ComfyApi, PromptBuilder, CallWrapper } = require("@saintno/comfyui-sdk");
const api = new ComfyApi(url);
await api.init().waitForReady();
await call("comfyui-sdk: a run", () => new Promise((yes, no) => {
  const built = new PromptBuilder(graph(), [], ["images"]).setOutputNode("images", "2");
  new CallWrapper(api, built).onFinished((made) => yes(made.images)).onFailed(no).run();
}));
for (const name of ["getCheckpoints", "getLoras", "getSamplerInfo", "getNodeDefs", "getEmbeddings",
  "getExtensions", "getFeatures", "getModelTypes", "getUserConfig", "getSettings", "getQueue",
  "getSystemStats", "interrupt"]) {
  await call(`comfyui-sdk: ${name}`, () => api[name]());
}
await call("comfyui-sdk: freeMemory", () => api.freeMemory(true, true));
await call("comfyui-sdk: uploadImage", () => api.uploadImage(new Uint8Array([1, 2]), "sdk.png"));
api.destroy();

const WebSocket = require("ws");
const { Client } = require("@stable-canvas/comfyui-client");
const client = new Client({ api_host: new URL(url).host, WebSocket, fetch });
client.connect();
const images = (made) => made.images.length || Promise.reject(new Error("no image"));
await call("comfyui-client: enqueue", async () => images(await client.enqueue(graph())));
await call("comfyui-client: enqueue_polling", async () =>
  images(await client.enqueue_polling(graph())));
for (const name of ["getExtensions", "getEmbeddings", "getNodeDefs", "getSamplers", "getSchedulers",
  "getSDModels", "getLoRAs", "getVAEs", "getUserConfig", "getSettings", "getSystemStats"]) {
  await call(`comfyui-client: ${name}`, () => client[name]());
}
await call("comfyui-client: free", () => client.free({ free_memory: true, unload_models: true }));
client.close();
process.exit(Math.min(failed, 100));
