// The element in a frame, for pages that may not run scripts of the service. Its attributes are in the fragment of the
// address, which browsers do not send: frame.html#token=TOKEN&lang=de. Its events become messages for the page.

import { FacepadCheck } from "./facepad-check.js";

const given = new URLSearchParams(location.hash.slice(1));

function show() {
  const check = new FacepadCheck();
  document.documentElement.lang = given.get("lang") ?? "en";
  check.setAttribute("service", new URL("..", import.meta.url).href);
  for (const name of ["session", "token", "camera-only"]) {
    if (given.has(name)) check.setAttribute(name, given.get(name));
  }
  for (const type of ["facepad-done", "facepad-error"]) {
    // To any origin, because frame-ancestors names the origins that can show this page, and the events hold no secret.
    check.addEventListener(type, ({ detail }) => parent.postMessage({ type, detail }, "*"));
  }
  document.querySelector("main").append(check);
}

// Otherwise an attacker could send a person a link with the token of the attacker's own session.
if (parent === window) document.querySelector("main").textContent = "This page works only in a frame of another page.";
else show();
