// Signs documents with an Ed25519 key, and tells whose signature one is. The signature is over the
// canonical JSON of the document, so that white space and the order of names do not matter.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";

const KEY_ID_HEX_DIGITS = 16;

export interface DocumentSignature {
  readonly algorithm: "Ed25519";
  /** The first 16 hex digits of the SHA-256 of the public key (SPKI, DER). */
  readonly key_id: string;
  /** SPKI, PEM. */
  readonly public_key: string;
  /** Base64. */
  readonly value: string;
}

export type SignatureKey = Pick<DocumentSignature, "algorithm" | "key_id" | "public_key">;

export interface DocumentSigner {
  readonly key: SignatureKey;
  sign(document: object): DocumentSignature;
}

/** @param privateKey PKCS #8, DER, base64. Throws when it is no Ed25519 key. */
export function createDocumentSigner(privateKey: string): DocumentSigner {
  const der = Buffer.from(privateKey, "base64");
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  if (secret.asymmetricKeyType !== "ed25519") throw new Error("the key is no Ed25519 key");
  const key = describeKey(createPublicKey(secret));
  return {
    key,
    sign(document) {
      const value = sign(null, Buffer.from(canonicalJson(document)), secret);
      return { ...key, value: value.toString("base64") };
    },
  };
}

/** Whether the document was signed by the public key that the signature names, as it stands. */
export function isSignedBy(document: unknown, signature: DocumentSignature): boolean {
  try {
    const key = createPublicKey(signature.public_key);
    if (key.asymmetricKeyType !== "ed25519") return false;
    if (describeKey(key).key_id !== signature.key_id) return false;
    const value = Buffer.from(signature.value, "base64");
    return verify(null, Buffer.from(canonicalJson(document)), key, value);
  } catch {
    // A key or a document that is none was signed by nobody.
    return false;
  }
}

function describeKey(key: KeyObject): SignatureKey {
  const der = key.export({ type: "spki", format: "der" });
  return {
    algorithm: "Ed25519",
    key_id: createHash("sha256").update(der).digest("hex").slice(0, KEY_ID_HEX_DIGITS),
    public_key: key.export({ type: "spki", format: "pem" }).toString(),
  };
}
