// A list of messages in order, each once. Whatever comes twice, or from two sides, is there once.

export function merge(list, added) {
  if (added.length === 0) return list;
  if (list.length === 0 || added.every((message) => message.seq > list.at(-1).seq)) return isAscending(added) ? [...list, ...added] : sorted([], added);
  return sorted(list, added);
}

const isAscending = (list) => list.every((message, at) => at === 0 || message.seq > list[at - 1].seq);

function sorted(list, added) {
  const bySeq = new Map([...list, ...added].map((message) => [message.seq, message]));
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}
