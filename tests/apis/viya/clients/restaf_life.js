// Definitions and jobs over restaf, by links alone.
const restaf = require("@sassoftware/restaf");

const CODE = `
import json, os
arguments = json.load(open(os.environ["JOBYARD_PAYLOAD_FILE"]))["arguments"]
print("hello", arguments["NAME"])
json.dump({"report.txt": "/files/" + arguments["NAME"]}, open(os.environ["JOBYARD_RESULT_FILE"], "w"))
`;
const TYPE = "application/vnd.sas.job.definition+json";
const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

// restaf rejects with a map of its own kind.
const codeOf = (error) => (error.toJS ? error.toJS() : error).status;

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return codeOf(error);
  }
  throw new Error("it was not refused");
}

async function stateOf(store, job) {
  return (await store.apiCall(job.links("state"))).items();
}

async function wait(store, job) {
  for (;;) {
    const state = await stateOf(store, job);
    if (!["pending", "running"].includes(state)) return store.apiCall(job.links("self"));
    await sleep(100);
  }
}

async function definitions(store, root) {
  const all = await store.apiCall(root.links("job-definitions"));
  const data = { name: "greeting", type: "Compute", code: CODE, parameters: [{ name: "NAME", defaultValue: "Ada" }] };
  const created = await store.apiCall(all.links("create"), { data });
  const tag = created.headers("etag");
  const update = created.links("update");
  const again = { ...created.items().toJS(), description: "new" };
  const put = (etag) => store.apiCall(update, { data: again, headers: { "If-Match": etag, "Content-Type": TYPE } });
  const updated = await put(tag);
  return { updated, description: updated.items("description"), stale: await refused(() => put(tag)) };
}

async function pages(store, root) {
  for (let number = 0; number < 25; number++) {
    const data = { name: `scroll ${number}`, jobDefinition: { type: "AnalyticsFlow", code: "" } };
    await store.apiCall(root.links("create"), { data });
  }
  const seen = new Set();
  const qs = { filter: "startsWith(name,'scroll ')", limit: 4 };
  let page = await store.apiCall(root.links("jobs"), { qs });
  for (;;) {
    page.itemsList().forEach((id) => seen.add(id));
    const next = page.scrollCmds("next");
    if (next === null) return seen.size;
    page = await store.apiCall(next);
  }
}

async function cancels(store, root) {
  const data = { jobDefinition: { type: "Compute", code: "import time\ntime.sleep(600)" } };
  const job = await store.apiCall(root.links("create"), { data });
  while ((await stateOf(store, job)) !== "running") await sleep(100);
  await store.apiCall(job.links("updateState"), { qs: { value: "canceled" } });
  const state = await stateOf(store, job);
  await store.apiCall(job.links("delete"));
  return [state, await refused(() => store.apiCall(job.links("self")))];
}

async function main(host, token) {
  const store = restaf.initStore();
  await store.logon({ authType: "server", host, token, tokenType: "bearer" });
  const { jobExecution, jobDefinitions } = await store.addServices("jobExecution", "jobDefinitions");
  const { updated, description, stale } = await definitions(store, jobDefinitions);
  const data = { jobDefinitionUri: updated.links("self").getIn(["link", "uri"]), arguments: { NAME: "Grace" } };
  const job = await store.apiCall(jobExecution.links("create"), { data });
  const ended = await wait(store, job);
  const log = await store.apiCall(ended.links("log"));
  const content = await store.apiCall(log.links("content"));
  const told = {
    description,
    stale,
    state: ended.items("state"),
    results: ended.items("results").toJS(),
    log: content.items(),
    pages: await pages(store, jobExecution),
    canceled: await cancels(store, jobExecution),
  };
  await store.apiCall(updated.links("delete"));
  console.log(JSON.stringify(told));
}

main(...process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error, JSON.stringify(error));
    process.exit(1);
  },
);
