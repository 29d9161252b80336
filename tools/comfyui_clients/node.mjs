// Public clients of ComfyUI that run under Node, against the mock and by hand: like those beside this.
// Where `npm install @saintno/comfyui-sdk@0.3.1 @stable-canvas/comfyui-client@1.5.9 \
// comfy-ui-client@0.1.2 ws` was called:
// `node …/tools/comfyui_clients/node.mjs http://127.0.0.1:6889`.

import { createRequire } from "node:module";

const url = process.argv[2];
const require = createRequire(`${process.cwd()}/`);
let color = Date.now() % 16_000_000;

const graph = (batch_size = 1) => ({
  1: { class_type: "EmptyImage", inputs: { width: 64, height: 64, batch_size, color: color++ } },
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
// It does not wait for its socket by itself, and hears nothing of a run that is posted before.
const connected = new Promise((yes) => client.on("connected", yes));
client.connect();
await connected;
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

// Its interrupt and editHistory read JSON where a real server's answer is empty, too; its uploadMask
// sends no original_ref, which both answer with 500.
const { ComfyUIClient } = require("comfy-ui-client");
const plain = new ComfyUIClient(new URL(url).host, crypto.randomUUID());
await plain.connect();
const sizes = async (of) => {
  const found = (await plain.getImages(of))["2"].map((it) => [it.image.filename, it.blob.size]);
  return found.every(([, size]) => size > 100) ? found : Promise.reject(new Error("no pictures"));
};
await call("comfy-ui-client: a batch of two", async () => {
  const found = await sizes(graph(2));
  return found.length === 2 ? found : Promise.reject(new Error(`not two: ${found}`));
});
const again = graph();
await call("comfy-ui-client: a run", () => sizes(again));
await call("comfy-ui-client: the same again", () => sizes(again));
await call("comfy-ui-client: two at once", () => Promise.all([sizes(graph()), sizes(graph())]));
for (const name of ["getEmbeddings", "getExtensions", "getSystemStats", "getPrompt",
  "getObjectInfo", "getHistory", "getQueue"]) {
  await call(`comfy-ui-client: ${name}`, () => plain[name]());
}
await call("comfy-ui-client: uploadImage", () =>
  plain.uploadImage(Buffer.from("a picture"), "plain.png", true));
await plain.disconnect();
process.exit(Math.min(failed, 100));
