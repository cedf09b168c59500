import { post } from "./api.js";

const form = document.querySelector("form");
const refused = form.querySelector("[role=alert]");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  refused.hidden = true;
  try {
    await post("api/sign-in", Object.fromEntries(new FormData(form)));
    location.assign("./");
  } catch (error) {
    button.disabled = false;
    refused.textContent = error.message;
    refused.hidden = false;
    form.elements.password.select();
  }
});
