// Shows the OpenAPI document that the address names (#jobs), and follows the switcher.
"use strict";
const choice = document.getElementById("api");
const file = document.getElementById("file");

function show() {
  const wanted = decodeURIComponent(location.hash.slice(1).split("/")[0]);
  const known = Array.from(choice.options).some((option) => option.value === wanted);
  const name = known ? wanted : choice.options[0].value;
  choice.value = name;
  file.href = `/openapi/${encodeURIComponent(name)}.json`;
  document.title = `Jobyard: ${choice.selectedOptions[0].text}`;
  SwaggerUIBundle({
    url: file.href,
    dom_id: "#document",
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
  });
}

choice.addEventListener("change", () => { location.hash = choice.value; });
addEventListener("hashchange", show);
show();
