"use strict";
/* The same request as curl and Python, to be copied. */

const MOST_SHOWN = 20000;
const quote = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
const here = (path) => new URL(path, location.href).href;

function showElsewhere(request) {
  const url = here("invocations"), type = request.type;
  if (request.name !== undefined) {
    $("curl").textContent = `curl -X POST ${quote(url)} \\\n  -H 'Content-Type: ${type}' \\\n  --data-binary ${quote("@" + request.name)}`;
    $("python").textContent = pythonOf(`with open(${JSON.stringify(request.name)}, "rb") as file:\n    body = file.read()`, "body", url, type);
    return;
  }
  const short = request.body.length > MOST_SHOWN ? '{"…": "too long to show"}' : request.body;
  $("curl").textContent = `curl -X POST ${quote(url)} \\\n  -H 'Content-Type: ${type}' \\\n  -d ${quote(short)}`;
  $("python").textContent = pythonOf(`body = ${pythonText(short)}`, "body.encode()", url, type);
}

const PYTHON_ESCAPES = { "\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r" };
const pythonText = (text) => "'" + text.replace(/[\\'\n\r]/g, (one) => PYTHON_ESCAPES[one]) + "'";

const pythonOf = (read, data, url, type) => `import json
import urllib.request

${read}
request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=${data},
    headers={"Content-Type": "${type}"},
)
with urllib.request.urlopen(request) as response:
    print(json.load(response))`;

async function copy(button) {
  const source = $(button.dataset.copy);
  try { await navigator.clipboard.writeText(source.textContent); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(source); button.textContent = "Selected"; }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
