// Buttons and keys of the page of a graph.

function connect(app) {
  const on = (id, act) => byId(id).addEventListener("click", act);
  const { picture } = app;
  const step = (position) => {
    app.play(false);
    app.go(position);
  };
  on("first", () => step(0));
  on("back", () => step(app.position - 1));
  on("play", () => app.play());
  on("next", () => step(app.position + 1));
  on("turn", () => step(app.graph.operations.length));
  on("final", () => step(app.last));
  byId("position").addEventListener("input", (event) => step(Number(event.target.value)));
  on("nearer", () => picture.zoom(1.25));
  on("farther", () => picture.zoom(0.8));
  on("whole", () => picture.fit());
  const descend = (steps) => {
    const rate = Number(byId("rate").value);
    for (let k = 0; k < steps && Number.isFinite(rate); k += 1) app.descend(rate);
  };
  on("descend", () => descend(1));
  on("descend-ten", () => descend(10));
  on("reset", () => app.reset());
  on("choose-all", () => app.chooseAll(true));
  on("choose-none", () => app.chooseAll(false));
  on("help", () => byId("keys").showModal());
  listenToTheme(byId("theme"), () => picture.restyle());
  const query = byId("query");
  query.addEventListener("input", () => app.search(query.value, false));
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    app.search(query.value, true);
  });
  document.addEventListener("keydown", (event) => onKey(app, event));
}

function onKey(app, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const { target, key } = event;
  if (key === "Escape" && target === byId("query")) {
    byId("query").value = "";
    app.search("", false);
    byId("picture").focus();
    return;
  }
  if (takesKeys(target)) return;
  const isSlider = target.matches("input[type=range]");
  const act = event.shiftKey ? shifted(app)[key] : plain(app)[key.length === 1 ? key.toLowerCase() : key];
  if (!act || (isSlider && /^(Arrow|Home|End|Page)/.test(key)) || (key === " " && target.matches("button, input"))) return;
  event.preventDefault();
  act();
}

function plain(app) {
  const { picture } = app;
  const click = (id) => () => byId(id).click();
  return {
    ArrowRight: click("next"), ArrowLeft: click("back"), Home: click("first"), End: click("final"), " ": click("play"),
    f: click("turn"), t: click("theme"), "?": click("help"), "+": click("nearer"), "=": click("nearer"),
    "-": click("farther"), 0: click("whole"), g: () => app.foldSelected(), n: () => app.inspector.nudge(),
    "/": () => byId("query").focus(),
    w: () => picture.pan(0, 60), s: () => picture.pan(0, -60), a: () => picture.pan(60, 0), d: () => picture.pan(-60, 0),
  };
}

function shifted(app) {
  const walk = (way) => () => app.walk(way);
  const { "?": help, "+": nearer, "/": search } = plain(app);
  return {
    ArrowLeft: walk("left"), ArrowRight: walk("right"), ArrowUp: walk("up"), ArrowDown: walk("down"),
    G: () => app.foldAll(), "?": help, "+": nearer, "/": search,
  };
}
