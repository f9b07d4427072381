// Keeps every <img data-camera> showing the newest redacted picture of its camera.
"use strict";

const WAIT_S = 5;
const RETRY_MS = 1000;
const followed = new WeakSet();

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

async function show(img, response) {
  const url = URL.createObjectURL(await response.blob());
  const before = img.src;
  img.src = url;
  try {
    await img.decode();
  } finally {
    if (before.startsWith("blob:")) URL.revokeObjectURL(before);
  }
}

async function follow(img) {
  const view = img.closest(".view");
  let number = 0;
  while (img.isConnected) {
    await visible();
    const camera = encodeURIComponent(img.dataset.camera);
    try {
      const response = await fetch(`/api/v1/cameras/${camera}/live.jpg?after=${number}&wait_s=${WAIT_S}`);
      if (response.status === 401) {
        window.location.assign("/login");
        return;
      }
      if (response.status === 200) {
        await show(img, response);
        number = Number(response.headers.get("X-Picture-Number"));
        view.dataset.live = "yes";
        continue;
      }
      view.dataset.live = "no";
      if (response.status !== 204) await pause(RETRY_MS);
    } catch {
      view.dataset.live = "no"; // the hub is away, or a picture was broken: try again
      await pause(RETRY_MS);
    }
  }
}

function look() {
  for (const img of document.querySelectorAll("img[data-camera]")) {
    if (!followed.has(img)) {
      followed.add(img);
      follow(img);
    }
  }
}

new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
look();
