/**
 * The highest version of each line of session artifacts that was in force, kept in the data folder: none that is older comes after
 * it. Only when they are too many, a line is forgotten of which every artifact that was seen is over.
 */

import { CheckError, StoreError } from "../../kernel/errors.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { type Digest, digestShape } from "../../kernel/receipt/fields.ts";
import { lineOf, type SealedSessionArtifact } from "../../kernel/session-artifact.ts";
import { array, integer, literal, object, type Shape, timestamp } from "../../kernel/shape.ts";
import { type Timestamp, timestampMs } from "../../kernel/time.ts";
import { ControlFile } from "../controls/control-file.ts";

/** The highest artifact of a line; lines are named by digest, so that the file names nobody. */
type Floor = {
  readonly line: Digest;
  readonly version: number;
  readonly digest: Digest;
  /** The latest end of its artifacts. */
  readonly until: Timestamp;
};

type FloorFile = { readonly v: 1; readonly lines: readonly Floor[] };

const MAX_LINES = 10_000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;

const fileShape: Shape<FloorFile> = object<FloorFile>({
  v: literal(1),
  lines: array(
    object<Floor>({ line: digestShape, version: integer({ min: 1 }), digest: digestShape, until: timestamp() }),
    { max: MAX_LINES },
  ),
});

/** The floors of a data folder; one process has them. */
export class SessionFloors {
  readonly #file: ControlFile<FloorFile>;
  readonly #lines: Map<Digest, Floor>;

  private constructor(file: ControlFile<FloorFile>, lines: readonly Floor[]) {
    this.#file = file;
    this.#lines = new Map(lines.map((floor) => [floor.line, floor]));
  }

  /** @throws {StoreError} ERR_CONTROL_FILE: it is there and cannot be read */
  static async open(folder: string): Promise<SessionFloors> {
    const file = new ControlFile<FloorFile>(folder, "session-artifact-floors.json");
    return new SessionFloors(file, (await file.read(fileShape, MAX_FILE_BYTES))?.lines ?? []);
  }

  /** Checks that an artifact is newer than the last one of its line, or is that one. @throws {CheckError} ERR_ARTIFACT_VERSION */
  check({ artifact, digest }: SealedSessionArtifact): void {
    const floor = this.#lines.get(nameOf(artifact));
    if (floor === undefined || artifact.version > floor.version) return;
    if (artifact.version === floor.version && digest === floor.digest) return;
    throw new CheckError(
      "ERR_ARTIFACT_VERSION",
      `version ${artifact.version} of the session artifact comes after version ${floor.version}`,
    );
  }

  /**
   * From now on no older artifacts of these lines are taken; durable when it resolves.
   *
   * @throws {StoreError} ERR_CONTROL_FULL, ERR_CONTROL_FILE
   */
  async remember(sealed: readonly SealedSessionArtifact[], nowMs: number): Promise<void> {
    for (const { artifact, digest } of sealed) {
      const line = nameOf(artifact);
      const { version, not_after: end } = artifact;
      const [until = end] = [end, this.#lines.get(line)?.until ?? end].sort().reverse();
      this.#lines.set(line, { line, version, digest, until });
    }
    for (const floor of this.#lines.size > MAX_LINES ? [...this.#lines.values()] : []) {
      if (timestampMs(floor.until) < nowMs) this.#lines.delete(floor.line);
    }
    if (this.#lines.size > MAX_LINES) throw new StoreError("ERR_CONTROL_FULL", "the list of session artifacts is full");
    await this.#file.write(() => ({ v: 1, lines: [...this.#lines.values()] }));
  }
}

function nameOf(artifact: SealedSessionArtifact["artifact"]): Digest {
  return digestFile(lineOf(artifact));
}
