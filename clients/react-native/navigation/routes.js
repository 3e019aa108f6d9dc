// The places of the app: a tab, and what is open in it. On the web they are paths: /app/users/ID.

export const TABS = [
  { name: 'chat', title: 'Chat', icon: 'chatbubbles' },
  { name: 'users', title: 'People', icon: 'people' },
  { name: 'health', title: 'Health', icon: 'pulse' },
  { name: 'analytics', title: 'Analytics', icon: 'bar-chart' },
  { name: 'settings', title: 'Settings', icon: 'settings' },
];

export const START = { tab: 'chat', open: undefined };

/** Where the web build is served; without a slash at the end. */
const base = process.env.EXPO_BASE_URL ?? '';

export function toPath({ tab, open }) {
  return [base, tab, open && encodeURIComponent(open)].filter((part) => part !== undefined).join('/');
}

export function fromPath(path) {
  const rest = path.startsWith(`${base}/`) ? path.slice(base.length) : path;
  const [, tab, open] = rest.split('/');
  if (!TABS.some(({ name }) => name === tab)) return START;
  return { tab, open: open ? decode(open) : undefined };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
