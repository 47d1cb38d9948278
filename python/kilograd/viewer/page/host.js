// The way to a widget around the page's frame, which has the leaves as Values of Python. The page tells nothing before it
// is spoken to; from then on it takes the leaves' numbers as they come, and tells those that are moved here.

function attend(app) {
  if (parent === window) return;
  const { graph } = app;
  let told = null; // the numbers as the other side has them
  addEventListener("message", ({ source, data }) => {
    if (source !== parent || !Array.isArray(data?.leaves) || data.leaves.length !== graph.leaves.length) return;
    told = data.leaves.map(number);
    app.setLeaves(told);
  });
  app.onNumbers = () => {
    const now = graph.leaves.map((leaf) => graph.data[leaf]);
    if (!told || now.every((each, k) => Object.is(each, told[k]))) return;
    told = now;
    parent.postMessage({ leaves: now.map((each) => (Number.isFinite(each) ? each : full(each))) }, "*");
  };
}
