import { describe, expect, it } from "vitest";
import type { FullPlace } from "../../gateway/edge/in-flight.ts";
import { type TakenRoom, TaskRoom } from "../../gateway/edge/task-room.ts";
import { localCaller } from "../support/mcp-gateway.ts";

const MIB = 1024 * 1024;
const [ALICE, BOB] = [localCaller("alice"), localCaller("bob")];

function leave(place: TakenRoom | FullPlace): void {
  if (place.type !== "taken") throw new Error("no place");
  place.leave();
}

/** The line of a receipt; undefined if there is room. */
function lineOf(place: TakenRoom | FullPlace): unknown {
  return place.type === "full" ? place.accounting : undefined;
}

describe("room for tasks", () => {
  it("is taken with the place, to the last byte, and given back once", () => {
    const room = new TaskRoom(100, 100);
    const first = room.enter(ALICE, 8 * MIB - 1);
    const line = { limit: "open-task-bytes-principal", charge: "refused", budget: 8 * MIB, consumed: 0 };
    expect(lineOf(room.enter(ALICE, 2))).toEqual({ ...line, reserved: 8 * MIB - 1, remaining: 1 });
    const last = room.enter(ALICE, 1);
    expect(lineOf(room.enter(ALICE, 1))).toEqual({ ...line, reserved: 8 * MIB, remaining: 0 });
    // What has no bytes of its own needs a place alone.
    leave(room.enter(ALICE, 0));
    leave(first);
    leave(first);
    expect(lineOf(room.enter(ALICE, 8 * MIB))).toEqual({ ...line, reserved: 1, remaining: 8 * MIB - 1 });
    leave(last);
    leave(room.enter(ALICE, 8 * MIB));
    expect(lineOf(room.enter(ALICE, 8 * MIB + 1))).toEqual({ ...line, reserved: 0, remaining: 8 * MIB });
  });

  it("is each caller's own, and bounded for all", () => {
    const room = new TaskRoom(100, 100);
    const places = [0, 1, 2, 3].map((n) => room.enter(localCaller(`agent-${n}`), 8 * MIB));
    const line = { limit: "open-task-bytes-total", budget: 32 * MIB, reserved: 32 * MIB, remaining: 0 };
    expect(lineOf(room.enter(BOB, 1))).toMatchObject(line);
    leave(places[2] ?? room.enter(BOB, 0));
    leave(room.enter(BOB, 8 * MIB));
  });

  it("has no bytes taken by what finds no place", () => {
    const room = new TaskRoom(2, 1);
    const first = room.enter(ALICE, 8 * MIB);
    leave(first);
    const again = room.enter(ALICE, 4 * MIB);
    expect(lineOf(room.enter(ALICE, 4 * MIB))).toMatchObject({ limit: "open-tasks-principal", budget: 1 });
    leave(again);
    leave(room.enter(ALICE, 8 * MIB));
    expect(lineOf(new TaskRoom(0, 0).enter(ALICE, 0))).toMatchObject({ limit: "open-tasks-principal", budget: 0 });
  });

  it("is asked for without being taken, also as if some of the caller's own were given back", () => {
    const room = new TaskRoom(2, 1);
    const place = room.enter(ALICE, 8 * MIB);
    expect(room.bound(BOB, 8 * MIB, { places: 0, bytes: 0 })).toBeUndefined();
    const bounds = [
      room.bound(ALICE, 1, { places: 1, bytes: 0 }),
      room.bound(ALICE, 0, { places: 0, bytes: 8 * MIB }),
      room.bound(ALICE, 8 * MIB + 1, { places: 1, bytes: 8 * MIB }),
    ].map((bound) => bound?.accounting.limit);
    expect(bounds).toEqual(["open-task-bytes-principal", "open-tasks-principal", "open-task-bytes-principal"]);
    expect(room.bound(ALICE, 8 * MIB, { places: 1, bytes: 8 * MIB })).toBeUndefined();
    expect(lineOf(room.enter(ALICE, 0))).toMatchObject({ limit: "open-tasks-principal" });
    leave(place);
    leave(room.enter(ALICE, 8 * MIB));
  });
});
