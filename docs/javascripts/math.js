// Formulas stand in the page between \( \) or \[ \]; KaTeX, which is loaded first, sets them.
document.querySelectorAll(".arithmatex").forEach((element) => {
  const text = element.textContent.trim();
  katex.render(text.slice(2, -2), element, {
    displayMode: text.startsWith("\\["),
    throwOnError: false,
  });
});
