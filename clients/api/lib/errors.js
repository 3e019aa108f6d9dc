// The one error of this package.

/** @typedef {import('./openapi.js').components['schemas']} Schemas */
/** @typedef {Schemas['Problem']} Problem */
/** @typedef {Schemas['FieldError']} FieldError */

/**
 * What went wrong: a `code` of the server, or one of ours.
 *
 * `network` nothing answered · `timeout` not in time · `aborted` by your signal · `closed` the connection was closed by you ·
 * `refused` the server does not want this connection · `outbox_full` too much waits · `not_superapp` something else answered.
 *
 * @typedef {Problem['code'] | 'network' | 'timeout' | 'aborted' | 'closed' | 'refused' | 'outbox_full' | 'frame_too_large'
 *   | 'not_superapp' | 'invalid_argument' | (string & {})} ErrorCode
 */

/**
 * @typedef {object} ErrorDetails
 * @property {number} [status]
 * @property {FieldError[]} [errors]
 * @property {string} [requestId]
 * @property {number} [retryAfterMs]
 * @property {unknown} [cause]
 */

export class SuperAppError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {ErrorDetails} [details]
   */
  constructor(code, message, details = {}) {
    super(message);
    this.name = 'SuperAppError';
    /** @type {ErrorCode} Stable, to compare with. */
    this.code = code;
    /** @type {number} The HTTP status; 0 where there was no answer. */
    this.status = details.status ?? 0;
    /** @type {FieldError[]} What is wrong with which field: `pointer` is `/email`. */
    this.errors = details.errors ?? [];
    /** @type {string | undefined} For the server's logs. */
    this.requestId = details.requestId;
    /** @type {number | undefined} When it is worth trying again, where the server knows. */
    this.retryAfterMs = details.retryAfterMs;
    if (details.cause !== undefined) this.cause = details.cause;
  }

  /**
   * What is wrong with one field, if anything: `error.field('email')`.
   *
   * @param {string} name
   * @returns {string | undefined}
   */
  field(name) {
    return this.errors.find((error) => error.pointer === `/${name}`)?.detail;
  }

  /** Whether the same may work a little later. */
  get isTemporary() {
    return this.code === 'network' || this.code === 'timeout' || [408, 429, 502, 503, 504].includes(this.status);
  }
}

/**
 * The error that an answer tells.
 *
 * @param {number} status
 * @param {unknown} body
 * @param {ErrorDetails} details
 */
export function fromProblem(status, body, details) {
  const problem = /** @type {Partial<Problem>} */ (typeof body === 'object' && body !== null ? body : {});
  if (typeof problem.code !== 'string') {
    // A proxy on the way may say 502 in HTML.
    const code = status >= 500 ? 'unavailable' : 'not_superapp';
    return new SuperAppError(code, `the answer was ${status}, and no problem document`, { ...details, status });
  }
  return new SuperAppError(problem.code, problem.detail ?? problem.title ?? problem.code, {
    ...details,
    status,
    errors: problem.errors ?? [],
    requestId: problem.request_id ?? details.requestId,
  });
}

/** @param {unknown} [cause] */
export const aborted = (cause) => new SuperAppError('aborted', 'aborted', { cause });
