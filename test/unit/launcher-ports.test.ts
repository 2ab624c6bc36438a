// The ports the launcher offers: none that the kernel may give to an outgoing connection first.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  findFreePort,
  KERNEL_RANGE_FILE,
  offeredPorts,
  outgoingPorts,
} from "../../scripts/launcher/ports.ts";
import { tempFolder } from "../support/temp-folder.ts";

describe("ports of the launcher", () => {
  it("are beside those of outgoing connections, on the larger side", () => {
    const linux = offeredPorts({ first: 32_768, last: 60_999 });
    assert.deepEqual(linux, { first: 10_000, last: 32_767 });
    const low = offeredPorts({ first: 1_024, last: 20_000 });
    assert.deepEqual(low, { first: 20_001, last: 65_535 });
  });

  it("are any where outgoing connections have been given all", () => {
    assert.deepEqual(offeredPorts({ first: 1_024, last: 65_535 }), { first: 10_000, last: 65_535 });
  });

  it("go by the kernel's setting, and by IANA's where there is none to read", () => {
    const file = join(tempFolder(), "range");
    writeFileSync(file, "15000\t64000\n");
    assert.deepEqual(outgoingPorts(file), { first: 15_000, last: 64_000 });
    writeFileSync(file, "nothing");
    assert.deepEqual(outgoingPorts(file), { first: 49_152, last: 65_535 });
    assert.deepEqual(outgoingPorts(`${file}.none`), { first: 49_152, last: 65_535 });
  });

  it("are found outside of them on this machine, each once", async () => {
    const outgoing = outgoingPorts(KERNEL_RANGE_FILE);
    const offered = offeredPorts(outgoing);
    const found = [await findFreePort(), ...(await Promise.all([findFreePort(), findFreePort()]))];
    assert.equal(new Set(found).size, 3);
    for (const port of found) assert.ok(port >= offered.first && port <= offered.last, `${port}`);
  });
});
