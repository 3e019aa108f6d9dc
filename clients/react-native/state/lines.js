// What a room's list shows, from the newest upwards: messages in groups of one person, with the days between them.

import { dayName } from '../words';

/** Messages of one person within this belong together. */
const GROUP_MS = 5 * 60_000;

/**
 * @returns lines, newest first: `{ key, kind: 'message' | 'day', … }`. Of a message: `state` is `sent`, `waiting` or `refused`;
 *   `isFirst` and `isLast` are its place in its group.
 */
export function lines({ messages, waiting, refused, me }) {
  const all = [
    ...messages.map((message) => ({ ...message, key: String(message.seq), state: 'sent', isMine: message.user === me })),
    ...refused.map((message) => ({ ...message, key: message.id, state: 'refused', user: me, isMine: true })),
    ...waiting.map((message) => ({ ...message, key: message.id, state: 'waiting', user: me, isMine: true })),
  ];
  const shown = [];
  all.forEach((message, at) => {
    const [before, after] = [all[at - 1], all[at + 1]];
    const day = dayName(message.at);
    if (!before || dayName(before.at) !== day) shown.push({ key: `day-${message.key}`, kind: 'day', day });
    shown.push({ ...message, kind: 'message', isFirst: !belongs(before, message), isLast: !belongs(message, after) });
  });
  return shown.reverse();
}

function belongs(before, message) {
  if (!before || !message || before.user !== message.user) return false;
  return dayName(before.at) === dayName(message.at) && Date.parse(message.at) - Date.parse(before.at) < GROUP_MS;
}
