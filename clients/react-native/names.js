// What chat takes for names, told while typing. The server has the last word.

/** What is wrong with the name of somebody in chat, if anything. */
export function chatName(text) {
  if (text === '') return 'A name is needed.';
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(text)) return 'Use letters a–z, digits, dots, dashes or underscores, at most 64 and no spaces.';
  return undefined;
}

/** What is wrong with the name of a room, if anything. */
export function roomName(text) {
  if (text === '') return 'A name is needed.';
  if (!/^(?!\.{1,2}$)[a-z0-9._-]{1,64}$/.test(text)) return 'Use small letters a–z, digits, dots, dashes or underscores, at most 64 and no spaces.';
  return undefined;
}
