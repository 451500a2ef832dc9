"use strict";
/* The page of a model that takes rows: what is written becomes a request, and its answer is shown. */

let model = null, sending = false;
const exampleBodies = new Set(); /* the bodies that send the input example as it is */

const mode = () => document.querySelector("[name=mode]:checked").value;

function setMode(next) {
  document.querySelector(`[name=mode][value=${next}]`).checked = true;
  $("fields").hidden = next !== "form";
  $("parameters").hidden = next !== "form" || !model.params.length;
  $("text-block").hidden = next !== "json";
  $("attached").hidden = next !== "file";
  if (next === "form") layFields();
  refresh();
}

/* What would be sent now. Throws what is told to whoever wrote it. */
function request() {
  if (mode() === "file") return { body: attached.file, name: attached.name, type: attached.type };
  if (mode() === "form") return { body: readForm(), type: KINDS.json };
  JSON.parse($("text").value);
  return { body: $("text").value, type: KINDS.json };
}

function refresh() {
  markDifferences();
  try { showElsewhere(request()); } catch { /* it stays as it was until this is a request again */ }
}

function showReply(response, reply, time, isExample) {
  let tree;
  try { tree = parseExact(reply); } catch { tree = { message: reply }; }
  if (!response.ok) {
    $("state").textContent = `The server answered with status ${response.status}.`;
    $("answer").classList.add("stale");
    showError(tree.error_code ?? "", String(tree.message || tree.error || reply));
    return;
  }
  answer = tree !== null && typeof tree === "object" && "predictions" in tree ? tree.predictions : tree;
  if (isExample) exampleAnswer = answer;
  $("state").textContent = `Answered in ${milliseconds(time)}.`;
  $("views").hidden = false;
  $("answer").classList.remove("stale");
  showAnswer();
  $("answer-title").scrollIntoView({ block: "nearest" });
}

async function send() {
  if (sending || !model) return;
  let asked;
  try { asked = request(); complain(""); }
  catch (error) { complain(error instanceof FieldError ? error.message : "The body is not JSON: " + error.message, error.input); return; }
  sending = true;
  $("send").disabled = true;
  $("answer").setAttribute("aria-busy", "true");
  $("state").textContent = "Waiting for the answer …";
  const start = performance.now();
  let status = 0;
  try {
    const response = await fetch("invocations", { method: "POST", headers: { "Content-Type": asked.type }, body: asked.body });
    status = response.status;
    const reply = await response.text(), time = performance.now() - start;
    noteLatency(time, status);
    showReply(response, reply, time, exampleBodies.has(asked.body));
  } catch (error) {
    if (!status) noteLatency(performance.now() - start, status);
    $("state").textContent = "There is no answer.";
    complain("The server cannot be reached: " + error.message);
  }
  sending = false;
  $("send").disabled = false;
  $("answer").removeAttribute("aria-busy");
  if (document.activeElement === document.body) $("send").focus();
}

const firstText = () => prettyJson(model.example ?? { inputs: [] });

function watch() {
  $("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  $("form").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } });
  $("form").addEventListener("input", refresh);
  $("add").addEventListener("click", () => {
    const last = formRows().at(-1), values = {};
    if (last) cellsOf(last).forEach((cell, i) => { values[model.columns[i].name] = cell.value; });
    addRow(values, last ? origins.get(last) : exampleRows().at(-1)).querySelector(".cell").focus();
    refresh();
  });
  $("reset").addEventListener("click", () => {
    if (mode() === "json") $("text").value = firstText();
    else {
      fillFromExample();
      paramFields().forEach((input) => { input.value = input.dataset.default; });
    }
    complain("");
    say("");
    refresh();
    (mode() === "json" ? $("text") : $("add")).focus();
  });
  document.querySelectorAll("[name=mode]").forEach((radio) => radio.addEventListener("change", () => {
    if (radio.value === "json" && hasForm()) { try { $("text").value = prettyJson(parseExact(readForm())); } catch { /* keep the text */ } }
    complain("");
    setMode(radio.value);
  }));
  document.querySelectorAll("[name=view], #full").forEach((input) => input.addEventListener("change", showAnswer));
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copy(button)));
  addEventListener("resize", () => { if (model && mode() === "form") layFields(); });
  watchFiles();
}

function show() {
  describe();
  $("text").value = firstText();
  $("kinds").textContent = model.takes.join(", ").replace(/, (\w+)$/, " or $1");
  $("file").accept = Object.keys(SUFFIXES).filter((suffix) => model.takes.includes(SUFFIXES[suffix])).map((suffix) => "." + suffix).join(",");
  $("modes").hidden = $("mode-form").hidden = !hasForm();
  buildParameters();
  buildForm();
  if (model.example) {
    exampleBodies.add($("text").value);
    try { if (hasForm()) exampleBodies.add(readForm()); } catch { /* the example does not fit the form */ }
  }
  if (!model.example && !model.columns) $("state").textContent = "The model has no input example; write the body of a request as JSON.";
}

(async () => {
  watch();
  try {
    const response = await fetch("model.json");
    if (!response.ok) throw new Error("status " + response.status);
    model = parseExact(await response.text());
  } catch (error) {
    $("about").textContent = "";
    complain("The description of the model cannot be read: " + error.message);
    return;
  }
  show();
  document.body.dataset.ready = "yes";
})();
