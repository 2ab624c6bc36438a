// The order of stories: entries whose times are UTC timestamps of one form, whose text order is time order.

/** For a stable sort: entries of the same millisecond stay as they were told. */
export function byTime(left: { readonly at: string }, right: { readonly at: string }): number {
  return left.at < right.at ? -1 : Number(left.at > right.at);
}
