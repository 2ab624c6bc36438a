// RSA signatures with SHA-256 (PKCS #1 v1.5), which Alipay calls RSA2 and WeChat SHA256-RSA2048. Keys
// come as PEM (a certificate too), or as the bare base64 that Alipay's console hands out.
import {
  createPrivateKey,
  createPublicKey,
  createSign,
  createVerify,
  type KeyObject,
} from "node:crypto";

const PEM_MARK = "-----BEGIN";

/** Environment variables often hold a PEM in one line, with \n written out. */
function pemOf(text: string): string {
  return text.replaceAll(String.raw`\n`, "\n").trim();
}

/** @throws when the text holds no public key. */
export function publicKeyOf(text: string): KeyObject {
  const pem = pemOf(text);
  if (pem.includes(PEM_MARK)) return createPublicKey(pem);
  return createPublicKey({ key: Buffer.from(pem, "base64"), format: "der", type: "spki" });
}

/** @throws when the text holds no private key. */
export function privateKeyOf(text: string): KeyObject {
  const pem = pemOf(text);
  if (pem.includes(PEM_MARK)) return createPrivateKey(pem);
  const key = Buffer.from(pem, "base64");
  try {
    return createPrivateKey({ key, format: "der", type: "pkcs8" });
  } catch {
    return createPrivateKey({ key, format: "der", type: "pkcs1" });
  }
}

/** Base64. */
export function signRsa(key: KeyObject, message: string | Buffer): string {
  return createSign("RSA-SHA256").update(message).sign(key, "base64");
}

/** False for a wrong signature and for anything that is none; never throws. */
export function isRsaSigned(key: KeyObject, message: string | Buffer, signature: string): boolean {
  return createVerify("RSA-SHA256").update(message).verify(key, signature, "base64");
}
