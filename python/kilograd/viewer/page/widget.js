// A notebook's widget: the page of a graph in its frame, and the leaves' numbers between the page and Python.

export default {
  render({ model, el }) {
    el.innerHTML = model.get("_frame");
    const frame = el.querySelector("iframe");
    const said = document.createElement("p");
    said.setAttribute("role", "status");
    el.append(said);
    let isItsOwn = false; // what the page told is not told to it
    const send = () => isItsOwn || frame.contentWindow?.postMessage({ leaves: model.get("_leaves") }, "*");
    const say = () => (said.textContent = model.get("_said"));
    const receive = ({ source, data }) => {
      if (source !== frame.contentWindow || !Array.isArray(data?.leaves)) return;
      isItsOwn = true;
      model.set("_leaves", data.leaves);
      isItsOwn = false;
      model.save_changes();
    };
    frame.addEventListener("load", send);
    addEventListener("message", receive);
    model.on("change:_leaves", send);
    model.on("change:_said", say);
    say();
    return () => {
      removeEventListener("message", receive);
      model.off("change:_leaves", send);
      model.off("change:_said", say);
    };
  },
};
