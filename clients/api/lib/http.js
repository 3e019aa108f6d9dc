// Requests and answers: JSON both ways, every failure a SuperAppError.

import { backoff } from './backoff.js';
import { SuperAppError, aborted, fromProblem } from './errors.js';
import { delay, limited, throwIfAborted } from './signals.js';

/** @typedef {import('./clock.js').Clock} Clock */

/**
 * @typedef {object} RequestOptions
 * @property {Record<string, string | number | undefined>} [query]
 * @property {unknown} [body] Sent as JSON.
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {boolean} [isRepeatable] Sent twice it does what it does once; a GET is so anyway.
 * @property {boolean} [keepalive] The request outlives the page.
 * @property {readonly number[]} [accept] Statuses besides 2xx that are an answer, unless they come with a problem.
 */

/** @typedef {{ status: number, headers: Headers, body: any }} Answer */
/** @typedef {ReturnType<typeof createHttp>} Http */

/** How often a request is tried again, and the longest wait before. */
const RETRIES = 2;
const RETRY_WAIT_MS = 5_000;

/**
 * @param {object} options
 * @param {string} options.url
 * @param {typeof globalThis.fetch} [options.fetch]
 * @param {Clock} options.clock
 * @param {number} [options.timeoutMs] How long an answer may take.
 */
export function createHttp({ url, fetch, clock, timeoutMs = 15_000 }) {
  const base = baseUrl(url);
  const send = fetch ?? ((input, init) => globalThis.fetch(input, init));

  /**
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} options
   * @returns {Promise<Answer>}
   */
  async function once(method, path, { query, body, headers, signal, keepalive, accept = [] }) {
    throwIfAborted(signal);
    const limit = limited(clock, timeoutMs, signal);
    /** @type {RequestInit} */
    const init = { method, headers: { accept: 'application/json', ...headers }, signal: limit.signal };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'content-type': 'application/json', ...init.headers };
    }
    if (keepalive) init.keepalive = true;
    let response;
    let text;
    try {
      response = await send(base + path + queryText(query), init);
      text = await response.text();
    } catch (cause) {
      if (limit.why() === 'aborted') throw aborted(signal?.reason);
      if (limit.why() === 'timeout') throw new SuperAppError('timeout', `no answer within ${timeoutMs} ms`, { cause });
      throw new SuperAppError('network', `nothing answers at ${base}${reason(cause)}`, { cause });
    } finally {
      limit.done();
    }
    return judge(response, text, accept);
  }

  return {
    base,
    /**
     * @param {string} method
     * @param {string} path
     * @param {RequestOptions} [options]
     * @returns {Promise<Answer>}
     */
    async request(method, path, options = {}) {
      // Only what changes nothing is repeated without being asked to.
      const retries = method === 'GET' || options.isRepeatable ? RETRIES : 0;
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await once(method, path, options);
        } catch (error) {
          const wait = error instanceof SuperAppError && error.isTemporary ? error.retryAfterMs ?? backoff(clock, attempt) : Infinity;
          if (attempt >= retries || wait > RETRY_WAIT_MS) throw error;
          await delay(clock, wait, options.signal);
        }
      }
    },
  };
}

/**
 * @param {Response} response
 * @param {string} text
 * @param {readonly number[]} accept
 * @returns {Answer}
 */
function judge(response, text, accept) {
  const { status, headers } = response;
  const body = parse(text);
  const isProblem = (headers.get('content-type') ?? '').startsWith('application/problem+json');
  const isAnswer = response.ok || (accept.includes(status) && !isProblem);
  const requestId = headers.get('x-request-id') ?? undefined;
  if (!isAnswer) throw fromProblem(status, body, { requestId, retryAfterMs: retryAfterMs(headers) });
  if (text !== '' && body === undefined) {
    throw new SuperAppError('not_superapp', 'the answer is not JSON: is this the address of SuperApp?', { status, requestId });
  }
  return { status, headers, body };
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {Headers} headers */
function retryAfterMs(headers) {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** @param {Record<string, string | number | undefined>} [query] */
export function queryText(query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = given.map(([name, value]) => `${name}=${encodeURIComponent(/** @type {string} */ (value))}`).join('&');
  return text && `?${text}`;
}

/** @param {string} url */
function baseUrl(url) {
  const base = (/^[a-z]+:\/\//i.test(url) ? url : `http://${url}`).trim().replace(/\/+$/, '');
  if (/^https?:\/\/[^/?#\s]+[^?#\s]*$/i.test(base)) return base;
  throw new SuperAppError('invalid_argument', `the address must look like http://localhost:8080, not ${JSON.stringify(url)}`);
}

/** @param {any} cause Node says the reason in the error's own cause. */
function reason(cause) {
  const code = cause?.cause?.code ?? cause?.code;
  return typeof code === 'string' ? ` (${code})` : '';
}
