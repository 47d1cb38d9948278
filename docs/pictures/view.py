"""The picture of the page in the README: the article's neuron, in the middle of its backward pass.

``python docs/pictures/view.py`` writes it anew; needs ``pip install 'kilograd[test]'``, Chromium and its driver.
"""

from __future__ import annotations

import pathlib
import runpy
import shutil
import tempfile

import kilograd

HERE = pathlib.Path(__file__).parent
NEURON = HERE / "neuron.py"


def main() -> None:
    """Open the page in Chromium, step, and keep what it shows."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    size = {"width": 1180, "height": 600, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    neuron = runpy.run_path(str(NEURON))["neuron"]()
    with tempfile.TemporaryDirectory() as folder:
        page = kilograd.view(neuron, pathlib.Path(folder) / "view.html", title="o = tanh(x1*w1 + x2*w2 + b)")
        browser.get((pathlib.Path(folder) / "view.html").as_uri())
        at = "kilograd.graph.labels.indexOf('x1*w1')"
        browser.execute_script(
            f"""
            const last = 2 * kilograd.graph.operations.length + 1 - kilograd.graph.operations.indexOf({at});
            kilograd.select(kilograd.graph.labels.indexOf("w1"));
            kilograd.go(last, {{animate: false}});
            kilograd.picture.fit();
            """
        )
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        browser.save_screenshot(str(HERE / "view.png"))
    browser.quit()
    print(page)


if __name__ == "__main__":
    main()
