// A person's signature, made in the browser: the key is read from its file and goes nowhere.
// Source of the formats: RFC 7468 (PEM), RFC 8410 (Ed25519 in PKCS #8), RFC 8032 (signatures).

const NAME = { name: "Ed25519" };
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function unarmoured(pem) {
  const found = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(pem);
  if (!found) throw new Error("This file is no key of an approver: shoal approver FILE makes one.");
  return Uint8Array.from(atob(found[1].replace(/\s/g, "")), (letter) => letter.charCodeAt(0));
}

async function opened(pem) {
  if (!globalThis.crypto?.subtle) {
    throw new Error("This browser signs only over https or on the machine itself: use shoal rollout approve.");
  }
  const pkcs8 = unarmoured(pem);
  try {
    return await crypto.subtle.importKey("pkcs8", pkcs8, NAME, true, ["sign"]);
  } catch (error) {
    if (error.name === "NotSupportedError") throw new Error("This browser knows no Ed25519: use shoal rollout approve.");
    throw new Error("This file is no Ed25519 key: shoal approver FILE makes one.");
  }
}

/** @returns {Promise<{key: string, signature: string}>} in hexadecimal digits, over `content` in UTF-8. */
export async function sign(pem, content) {
  const key = await opened(pem);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const open = atob(x.replace(/-/g, "+").replace(/_/g, "/"));
  const signature = await crypto.subtle.sign(NAME, key, new TextEncoder().encode(content));
  return { key: hex(Uint8Array.from(open, (letter) => letter.charCodeAt(0))), signature: hex(new Uint8Array(signature)) };
}
