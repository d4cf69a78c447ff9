/** X.509 certificates for tests, made with Node alone: authorities, servers and clients with the names that a test wants. */

import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";

/** A certificate and its key. */
export interface TestCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly privateKey: KeyObject;
  readonly subject: readonly string[];
}

/** What a certificate says. */
export interface CertificateForm {
  /** `O=…`, `CN=…`, in order. */
  readonly subject: readonly string[];
  /** `URI:…`, `DNS:…`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  readonly isAuthority?: boolean;
  readonly fromMs?: number;
  readonly untilMs?: number;
}

const OIDS: Readonly<Record<string, string>> = {
  O: "55040a",
  CN: "550403",
  ecdsaWithSha256: "2a8648ce3d040302",
  basicConstraints: "551d13",
  subjectAltName: "551d11",
  deltaList: "551d1b",
};
const YEAR_MS = 365 * 86_400_000;

/** Issues a certificate; without an issuer it signs itself. */
export function issue(form: CertificateForm, issuer?: TestCertificate): TestCertificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const now = Date.now();
  const tbs = der(
    0x30,
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ALGORITHM,
    nameOf(issuer?.subject ?? form.subject),
    der(0x30, timeOf(form.fromMs ?? now - 60_000), timeOf(form.untilMs ?? now + YEAR_MS)),
    nameOf(form.subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, ...extensionsOf(form))),
  );
  const signature = sign("sha256", tbs, issuer?.privateKey ?? privateKey);
  const raw = der(0x30, tbs, ALGORITHM, der(0x03, Buffer.of(0), signature));
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { cert: new X509Certificate(raw).toString(), key, privateKey, subject: form.subject };
}

/** What a revocation list says. */
export interface ListForm {
  readonly revoked?: readonly TestCertificate[];
  readonly fromMs?: number;
  readonly untilMs?: number;
  /** True: with an extension that is critical. */
  readonly isPartial?: boolean;
}

/** The list of an authority, DER. */
export function issueList({ revoked = [], ...form }: ListForm, authority: TestCertificate): Uint8Array {
  const fromMs = form.fromMs ?? Date.now() - 60_000;
  const entries = revoked.map(({ cert }) => {
    const serial = Buffer.from(new X509Certificate(cert).serialNumber, "hex");
    return der(0x30, der(0x02, serial), timeOf(fromMs));
  });
  const critical = der(0x30, oid("deltaList"), der(0x01, Buffer.of(0xff)), der(0x04, der(0x02, Buffer.of(1))));
  const tbs = der(
    0x30,
    der(0x02, Buffer.of(1)),
    ALGORITHM,
    nameOf(authority.subject),
    timeOf(fromMs),
    timeOf(form.untilMs ?? fromMs + 86_400_000),
    ...(entries.length === 0 ? [] : [der(0x30, ...entries)]),
    ...(form.isPartial === true ? [der(0xa0, der(0x30, critical))] : []),
  );
  const signature = sign("sha256", tbs, authority.privateKey);
  return new Uint8Array(der(0x30, tbs, ALGORITHM, der(0x03, Buffer.of(0), signature)));
}

const ALGORITHM = der(0x30, oid("ecdsaWithSha256"));

function extensionsOf({ isAuthority = false, names = [] }: CertificateForm): readonly Buffer[] {
  const constraints = isAuthority ? der(0x30, der(0x01, Buffer.of(0xff))) : der(0x30);
  const basic = der(0x30, oid("basicConstraints"), der(0x01, Buffer.of(0xff)), der(0x04, constraints));
  if (names.length === 0) return [basic];
  return [basic, der(0x30, oid("subjectAltName"), der(0x04, der(0x30, ...names.map(alternativeName))))];
}

function alternativeName(name: string): Buffer {
  const [kind, value] = [name.slice(0, name.indexOf(":")), name.slice(name.indexOf(":") + 1)];
  if (kind === "IP") return der(0x87, Buffer.from(value.split(".").map(Number)));
  return der(kind === "URI" ? 0x86 : 0x82, Buffer.from(value));
}

function nameOf(parts: readonly string[]): Buffer {
  const sets = parts.map((part) => {
    const [type = "", value = ""] = part.split("=");
    return der(0x31, der(0x30, oid(type), der(0x0c, Buffer.from(value))));
  });
  return der(0x30, ...sets);
}

/** UTCTime: for years before 2050. */
function timeOf(ms: number): Buffer {
  const text = new Date(ms)
    .toISOString()
    .replace(/[-:T]|\.\d+/gu, "")
    .slice(2);
  return der(0x17, Buffer.from(text));
}

function oid(name: string): Buffer {
  return der(0x06, Buffer.from(OIDS[name] ?? "", "hex"));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const head = length < 0x100 ? Buffer.of(tag, 0x81, length) : Buffer.of(tag, 0x82, length >> 8, length & 0xff);
  return Buffer.concat([head, content]);
}
