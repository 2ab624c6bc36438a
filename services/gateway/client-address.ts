// Whose address a request counts under. X-Forwarded-For is believed only as far as trusted proxies
// wrote it: from the right, the first hop that is not one of ours.
import { BlockList, isIP } from "node:net";

export type ClientAddress = (peer: string | undefined, forwardedFor: string | undefined) => string;

/** More hops than this are not walked; the peer's own address is taken. */
const HOPS_MAX = 20;

/** @param trusted addresses and CIDR blocks, comma separated; empty trusts nobody. */
export function createClientAddress(trusted: string): ClientAddress {
  const proxies = parseProxies(trusted);
  const isTrusted = (address: string): boolean => {
    const family = isIP(address);
    return family !== 0 && proxies.check(address, family === 6 ? "ipv6" : "ipv4");
  };
  return (peer, forwardedFor) => {
    const own = plainAddress(peer ?? "");
    if (forwardedFor === undefined || !isTrusted(own)) return own;
    const hops = forwardedFor.split(",", HOPS_MAX).map((hop) => plainAddress(hop.trim()));
    const client = hops.reverse().find((hop) => !isTrusted(hop));
    return client !== undefined && isIP(client) !== 0 ? client : own;
  };
}

function parseProxies(trusted: string): BlockList {
  const list = new BlockList();
  for (const entry of trusted.split(",").map((part) => part.trim())) {
    if (entry === "") continue;
    const [address = "", prefix] = entry.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** IPv4 addresses that arrive on an IPv6 socket are the same client. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
