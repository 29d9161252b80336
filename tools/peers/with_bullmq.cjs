// BullMQ over Redis: global concurrency 1; the vendor's id is kept in the job's data.
//
// mkdir bullmq && cd bullmq && npm init -y && npm install bullmq ioredis
const { Queue, Worker } = require("bullmq");

const { PEER_SERVER, PEER_IMAGES, PEER_VIDEOS } = process.env;
const connection = { url: PEER_SERVER, maxRetriesPerRequest: null };
const POLL_MS = 20;

const tell = (what, job = "-") =>
  process.stdout.write(`\npeer ${what} ${job} ${(Date.now() / 1000).toFixed(4)}\n`);
const idOf = (job, step) => `${job}.${step}.${Math.floor(Math.random() * 10000)}`;

async function asked(url, body) {
  const headers = { "content-type": "application/json" };
  const order = body && { method: "POST", headers, body: JSON.stringify(body) };
  const reply = await fetch(url, order);
  if (!reply.ok) throw new Error(`${url}: ${reply.status}`);
  return reply.json();
}

async function until(url, word) {
  while ((await asked(url)).status !== word) await new Promise((on) => setTimeout(on, POLL_MS));
}

async function image(job) {
  tell("image", job);
  const body = { prompt: job, style: "ink", client_id: idOf(job, "image") };
  const { job_id } = await asked(`${PEER_IMAGES}/img/submit`, body);
  await until(`${PEER_IMAGES}/img/status/${job_id}`, "succeeded");
  return (await asked(`${PEER_IMAGES}/img/result/${job_id}`)).asset_url;
}

async function run(data, keep) {
  const { job } = data;
  let { video } = data;
  if (!video) {
    const picture = await image(job);
    tell("order", job);
    const body = { prompt: job, image_url: picture, external_task_id: idOf(job, "video") };
    video = (await asked(`${PEER_VIDEOS}/video/submit`, body)).job_id;
    await keep({ job, video });
  }
  tell("video", job);
  await until(`${PEER_VIDEOS}/video/status/${video}`, "succeed");
  tell("ended", job);
}

async function main(verb, ...names) {
  const queue = new Queue("slot", { connection });
  await queue.setGlobalConcurrency(1);
  if (verb === "work") {
    const worker = new Worker("slot", (job) => run(job.data, (kept) => job.updateData(kept)), {
      connection,
    });
    await worker.waitUntilReady();
    tell("ready");
    return;
  }
  for (const job of names) await queue.add("job", { job });
  await queue.close();
}

main(...process.argv.slice(2));
