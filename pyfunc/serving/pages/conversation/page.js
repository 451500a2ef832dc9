"use strict";
/* The page of a chat: a conversation that is streamed, and can be stopped. */

const MOST_TEXT = 200000;
let model = null, conversation = [], running = null;

function describe() {
  document.title = model.name + " – chat";
  $("name").textContent = $("here").textContent = model.name;
  $("metrics").hidden = !model.metrics;
  const kinds = { llm: "Chat model", agent: "Chat agent", responses: "Responses agent" };
  const parts = [kinds[model.chat], "server " + model.server];
  if (model.saved) parts.splice(1, 0, "saved " + model.saved.slice(0, 19) + " UTC");
  $("about").replaceChildren(...parts.map((part) => make("span", { className: "tag", textContent: part })));
  const url = new URL("v1", location.href).href;
  $("python").textContent = `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(url)}, api_key="none")
stream = client.chat.completions.create(
    model=${JSON.stringify(model.name)},
    messages=[{"role": "user", "content": "Hello!"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`;
}

function complain(message) {
  $("problem").textContent = message.slice(0, 5000);
  $("problem").hidden = !message;
}

function bubble(role) {
  const text = make("span", { className: "text" }), dots = [make("span"), make("span"), make("span")];
  const waits = role === "user" ? null : make("span", { className: "waits", ariaHidden: "true" }, ...dots);
  const item = make("li", { className: role }, make("span", { className: "who", textContent: role === "user" ? "You" : model.name }), text, waits);
  $("messages").append(item);
  item.scrollIntoView({ block: "nearest" });
  return { item, text, waits };
}

function request() {
  const written = $("extra").value.trim();
  const extra = written ? JSON.parse(written) : {};
  if (extra === null || typeof extra !== "object" || Array.isArray(extra)) throw new Error("expected a JSON object");
  const system = $("system").value.trim();
  const messages = system ? [{ role: "system", content: system }, ...conversation] : conversation;
  return JSON.stringify({ model: model.name, ...extra, messages, stream: true });
}

/* Yield the data of each event of a stream as its bytes come. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const line = block.split("\n").find((each) => each.startsWith("data: "));
      if (line) yield line.slice(6);
    }
  }
}

function take(delta, answer, shown) {
  if (delta.content) {
    answer.start ||= performance.now();
    answer.content += delta.content;
    shown.text.textContent = answer.content.slice(0, MOST_TEXT);
  }
  for (const call of delta.tool_calls || []) {
    const known = answer.calls[call.index] ||= { id: "", type: "function", function: { name: "", arguments: "" } };
    known.id ||= call.id || "";
    known.function.name += (call.function || {}).name || "";
    known.function.arguments += (call.function || {}).arguments || "";
    let line = shown.item.querySelectorAll(".call")[call.index];
    if (!line) shown.item.append(line = make("span", { className: "call" }));
    line.textContent = "calls " + known.function.name + "(" + known.function.arguments + ")";
  }
}

async function listen(body, answer, shown) {
  const response = await fetch("v1/chat/completions", { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: running.signal });
  if (!response.ok) {
    const reply = await response.text();
    let told;
    try { const { error } = JSON.parse(reply); told = error.message; } catch { told = reply; }
    throw new Error("The server answered with status " + response.status + ": " + told);
  }
  for await (const data of events(response)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    for (const choice of chunk.choices || []) if (!choice.index) take(choice.delta || {}, answer, shown);
  }
}

async function send() {
  const said = $("text").value.trim();
  if (running || !said) return;
  const mine = conversation; /* it may be another one before the answer ends */
  mine.push({ role: "user", content: said });
  let body;
  try { body = request(); }
  catch (error) { mine.pop(); complain("The further fields are no JSON object: " + error.message); $("extra").focus(); return; }
  complain("");
  running = new AbortController();
  $("send").disabled = true;
  $("stop").disabled = false;
  bubble("user").text.textContent = said;
  $("text").value = "";
  const answer = { content: "", calls: [], start: 0 }, shown = bubble("assistant");
  $("state").textContent = "Waiting for the answer …";
  const start = performance.now();
  try {
    await listen(body, answer, shown);
    const first = answer.start ? ", the first word after " + (answer.start - start).toFixed(0) + " ms" : "";
    $("state").textContent = "Answered in " + (performance.now() - start).toFixed(0) + " ms" + first + ".";
  } catch (error) {
    if (error.name === "AbortError") $("state").textContent = mine === conversation ? "Stopped." : "Say something.";
    else { $("state").textContent = "The answer is not complete."; complain(error.message); }
  }
  shown.waits.remove();
  const calls = answer.calls.filter(Boolean);
  if (answer.content || calls.length) mine.push({ role: "assistant", content: answer.content, ...(calls.length ? { tool_calls: calls } : {}) });
  else {
    shown.item.remove();
    mine.pop(); /* what had no answer is not sent again */
  }
  running = null;
  $("send").disabled = false;
  $("stop").disabled = true;
  $("text").focus();
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
});
$("stop").addEventListener("click", () => { if (running) running.abort(); });
$("new").addEventListener("click", () => {
  if (running) running.abort();
  conversation = [];
  $("messages").replaceChildren();
  complain("");
  $("state").textContent = "Say something.";
  $("text").focus();
});

(async () => {
  try {
    const response = await fetch("model.json");
    if (!response.ok) throw new Error("status " + response.status);
    model = await response.json();
  } catch (error) {
    $("about").textContent = "";
    complain("The description of the model cannot be read: " + error.message);
    return;
  }
  describe();
  $("text").focus();
  document.body.dataset.ready = "yes";
})();
