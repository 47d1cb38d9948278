// The beginning of the page of a graph. `kilograd` in the browser's console is the page's own object.

const app = new App(JSON.parse(byId("data").textContent));
connect(app);
attend(app);
window.kilograd = app;
