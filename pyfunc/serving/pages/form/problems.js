"use strict";
/* What is wrong, all of it in one box, and each part where it belongs: at a field, or in the signature. */

const MOST_PROBLEM = 5000;

function clearProblems() {
  document.querySelectorAll("[aria-invalid]").forEach((node) => node.removeAttribute("aria-invalid"));
  document.querySelectorAll(".wrong").forEach((node) => node.remove());
}

function markField(input, text) {
  input.setAttribute("aria-invalid", "true");
  input.parentElement.querySelector(".notes").prepend(make("small", { className: "wrong", textContent: text }));
}

/* Show a message of this page; empty for none. */
function complain(message, input) {
  clearProblems();
  $("problem").replaceChildren(...(message ? [make("p", { textContent: clip(message, MOST_PROBLEM) })] : []));
  $("problem").hidden = !message;
  if (input) { markField(input, message.replace(nameOf(input), "").trim()); input.focus(); }
}

/* Show an error of the server: its lines "  - inputs['a']: expected ..." stand at what they name, too. */
function showError(code, message) {
  complain("");
  const [head, ...lines] = clip(message, MOST_PROBLEM).split("\n");
  const box = $("problem"), listed = make("ul");
  box.append(make("p", {}, code ? make("span", { className: "code mono", textContent: code }) : null, code ? ": " : null, head));
  for (const line of lines) {
    if (line.startsWith("  - ")) listed.append(make("li", {}, placed(line.slice(4))));
    else if (line.startsWith("hint: ")) box.append(make("p", { className: "hint" }, make("strong", { textContent: "hint: " }), line.slice(6)));
    else (listed.lastChild ?? box.lastChild).append("\n" + line);
  }
  if (listed.childElementCount) box.firstChild.after(listed);
  box.hidden = false;
}

/* The line of a problem: a button that leads to the place that it names, if there is one. */
function placed(line) {
  const form = /^[a-z_]+/.exec(line)?.[0] ?? "", rest = line.slice(form.length);
  const isParam = form === "params", specs = isParam ? model.params : model.inputs;
  const at = specs.findIndex((one) => rest.startsWith(one.path)), spec = specs[at];
  if (!spec) return line;
  const [, text, row = 0] = /^(.*?)(?: \(first at row (\d+)\))?$/s.exec(rest.slice(spec.path.length).replace(/^[^:]*: /, ""));
  const fields = isParam ? paramFields() : cellsOf(formRows()[row] ?? formRows()[0]), input = mode() === "form" ? fields[at] : null;
  if (input) markField(input, text);
  else specRows.get(spec)?.cells[1].append(make("small", { className: "wrong", textContent: text }));
  const goal = input ?? specRows.get(spec)?.closest(".scroll");
  if (!goal) return line;
  const button = make("button", { type: "button", className: "plain", textContent: line });
  button.addEventListener("click", () => goal.focus());
  return button;
}
