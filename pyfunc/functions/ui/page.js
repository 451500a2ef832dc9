"use strict";
/* Which place of the store is shown: what the address says after #. */

const LOOK_AT_LISTS = 4000;
let visit = 0, timer = 0;

function complain(error) {
  put(make("h1", { textContent: "This cannot be shown" }), make("div", { className: "problem", role: "alert", id: "problem", textContent: error.message }), make("p", {}, make("a", { href: "#/", textContent: "All projects" })));
}

function again(pause) {
  const mine = visit;
  timer = setTimeout(() => { if (mine !== visit) return; if (document.hidden) again(pause); else go(); }, pause);
}

async function go(moved) {
  clearTimeout(timer);
  const mine = ++visit;
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  try {
    const [project, type = "runs", name, id] = path.split("/").filter(Boolean).map(decodeURIComponent);
    const asked = new URLSearchParams(query || "");
    const show = await (!project ? showProjects() : !name ? showProject(project, type, asked) : type === "runs" ? showRun(project, name) : showEntity(project, type, name, type === "tasks" ? name : id));
    if (mine !== visit) return;
    show();
  } catch (error) { if (mine !== visit) return; complain(error); }
  document.body.dataset.ready = location.hash || "#";
  if (moved) { $("main").focus({ preventScroll: true }); scrollTo(0, 0); }
}

$("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
addEventListener("hashchange", () => go(true));
go();
