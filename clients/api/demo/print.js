// What the demo prints: plain text, with a little colour where a person looks at it.

const { stdout, env } = process;
// As agreed at no-color.org; into a file or a pipe goes text only.
const hasColour = stdout.isTTY && !env.NO_COLOR && env.TERM !== 'dumb';

// Whoever reads has seen enough: `npm run demo | head`.
stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

/** @param {number} code */
const paint = (code) => (/** @type {string} */ text) => (hasColour ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = paint(1);
const dim = paint(2);
const colours = { pass: paint(32), warn: paint(33), fail: paint(31) };

/** @param {string} text */
export const title = (text) => console.log(`\n${bold(text)}`);
/** @param {string} text */
export const line = (text) => console.log(`  ${text}`);
/** @param {string} text */
export const note = (text) => console.log(`  ${dim(text)}`);

/**
 * Rows in columns as wide as their widest cell.
 *
 * @param {string[]} head
 * @param {string[][]} rows
 */
export function table(head, rows) {
  const widths = head.map((name, column) => Math.max(...[[name], ...rows.map((row) => [row[column] ?? ''])].map(([cell = '']) => width(cell))));
  const write = (/** @type {string[]} */ row) => row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - width(cell))).join('  ').trimEnd();
  console.log(`  ${dim(write(head))}`);
  for (const row of rows) console.log(`  ${write(row)}`.replace(/\b(pass|warn|fail)\b/, (word) => colours[/** @type {'pass'} */ (word)](word)));
}

/** Control characters of a stranger's name would move the cursor. @param {string} text @param {number} max */
export function plain(text, max) {
  const clean = [...text.replace(/\p{C}/gu, '?')];
  return clean.length > max ? `${clean.slice(0, max - 1).join('')}…` : clean.join('');
}

/** @param {string} text */
const width = (text) => [...text].length;
