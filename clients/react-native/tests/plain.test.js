import { lines } from '../state/lines';
import { merge } from '../state/messages';
import { fromPath, toPath } from '../navigation/routes';
import { chatName, roomName } from '../names';
import { duration, shortTime } from '../words';

const message = (seq, user = 'bob', at = '2026-01-01T10:00:00.000Z') => ({ seq, user, text: `m${seq}`, at });

test('messages from two sides are there once, in order', () => {
  const live = [message(5), message(6)];
  expect(merge(live, [message(3), message(4), message(5)]).map(({ seq }) => seq)).toEqual([3, 4, 5, 6]);
  expect(merge([], [message(2), message(1)]).map(({ seq }) => seq)).toEqual([1, 2]);
  expect(merge(live, [message(7)]).map(({ seq }) => seq)).toEqual([5, 6, 7]);
  expect(merge(live, [])).toBe(live);
});

test('messages of one person within minutes are one group; a new day begins one', () => {
  const messages = [message(1), message(2), message(3, 'ada'), message(4, 'ada', '2026-01-03T10:00:00.000Z')];
  const shown = lines({ messages, waiting: [], refused: [], me: 'ada' });
  expect(shown.map(({ key }) => key)).toEqual(['4', 'day-4', '3', '2', '1', 'day-1']);
  const [, , third, second, first] = shown;
  expect([first, second, third].map(({ isFirst, isLast, isMine }) => [isFirst, isLast, isMine])).toEqual([
    [true, false, false],
    [false, true, false],
    [true, true, true],
  ]);
});

test('what waits is below what is said', () => {
  const waiting = [{ id: 'w1', room: 'lobby', text: 'later', at: '2026-01-01T10:00:01.000Z' }];
  const [newest] = lines({ messages: [message(1)], waiting, refused: [], me: 'ada' });
  expect(newest).toMatchObject({ key: 'w1', state: 'waiting', isMine: true, user: 'ada' });
});

test('a place has a path, and the path leads back there', () => {
  for (const place of [{ tab: 'users', open: 'new' }, { tab: 'chat', open: 'a.b-c_d' }, { tab: 'health', open: undefined }]) {
    expect(fromPath(toPath(place))).toEqual(place);
  }
  expect(fromPath('/nowhere/at/all')).toEqual({ tab: 'chat', open: undefined });
  expect(fromPath('/chat/%E0%A4%A')).toEqual({ tab: 'chat', open: '%E0%A4%A' });
});

test('names are judged as the server judges them', () => {
  expect(chatName('Ada.L-1_x')).toBeUndefined();
  for (const name of ['', 'a b', 'ä', 'x'.repeat(65)]) expect(chatName(name)).toBeDefined();
  expect(roomName('team-1')).toBeUndefined();
  expect(roomName('...')).toBeUndefined();
  for (const name of ['Team', '.', '..']) expect(roomName(name)).toBeDefined();
});

test('times are told in a few words', () => {
  expect(duration(12.9)).toBe('12 s');
  expect(duration(3_720)).toBe('1 h 2 min');
  expect(duration(90_000)).toBe('1 d 1 h');
  const now = new Date(2026, 0, 10, 12);
  expect(shortTime(new Date(2026, 0, 10, 9, 5).toISOString(), now)).toMatch(/9:05/);
  expect(shortTime(new Date(2026, 0, 8, 9).toISOString(), now)).toMatch(/Thu/);
  expect(shortTime(new Date(2026, 0, 1, 9).toISOString(), now)).toMatch(/Jan/);
});
