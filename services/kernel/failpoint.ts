// Crash points as a port: code that must survive a crash between two effects names the spot.
// The product's implementation is empty; only the test entry replaces it.

export type Failpoint = (name: string) => void | Promise<void>;

export const noFailpoint: Failpoint = () => undefined;
