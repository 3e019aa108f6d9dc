// Accounts.

/** @typedef {import('./http.js').Http} Http */
/** @typedef {import('./openapi.js').components['schemas']} Schemas */

/** @typedef {Schemas['User'] & { etag?: string }} User `etag` is there where one user was asked for: pass it as `ifMatch`. */
/** @typedef {Schemas['UserDraft']} UserDraft */
/** @typedef {Schemas['UserPatch']} UserChange */
/** @typedef {{ users: User[], next: string | undefined }} UserPage `next` is the `cursor` of the next page. */
/** @typedef {{ q?: string, limit?: number, signal?: AbortSignal }} ListOptions `limit` is the size of a page, 1 to 200. */
/** @typedef {{ ifMatch?: string, signal?: AbortSignal }} ChangeOptions With `ifMatch`, `precondition_failed` when someone was faster. */
/** @typedef {ReturnType<typeof createUsers>} Users */

/** @param {Http} http */
export function createUsers(http) {
  /**
   * One page, newest first.
   *
   * @param {ListOptions & { cursor?: string }} [options]
   * @returns {Promise<UserPage>}
   */
  async function page({ q, limit, cursor, signal } = {}) {
    const answer = await http.request('GET', '/users', { query: { q: q || undefined, limit, cursor }, signal });
    return { users: answer.body, next: nextCursor(answer.headers.get('link')) };
  }

  /**
   * @param {string} method
   * @param {string} id
   * @param {UserDraft | UserChange | undefined} body
   * @param {ChangeOptions} options
   */
  async function change(method, id, body, { ifMatch, signal }) {
    /** @type {Record<string, string>} */
    const headers = ifMatch === undefined ? {} : { 'if-match': ifMatch };
    return user(await http.request(method, path(id), { body, headers, signal }));
  }

  return {
    page,

    /**
     * All users, newest first, over all pages: `for await (const user of client.users.list())`.
     *
     * @param {ListOptions} [options]
     * @returns {AsyncGenerator<User, void, void>}
     */
    async *list(options = {}) {
      /** @type {string | undefined} */
      let cursor;
      do {
        const { users, next } = await page({ ...options, cursor });
        yield* users;
        cursor = next;
      } while (cursor !== undefined);
    },

    /**
     * @param {string} id
     * @param {{ signal?: AbortSignal }} [options]
     */
    get: async (id, options = {}) => user(await http.request('GET', path(id), options)),

    /**
     * @param {UserDraft} draft
     * @param {{ signal?: AbortSignal }} [options]
     */
    create: async ({ name, email }, { signal } = {}) => user(await http.request('POST', '/users', { body: { name, email }, signal })),

    /**
     * @param {string} id
     * @param {UserDraft} draft
     * @param {ChangeOptions} [options]
     */
    replace: (id, { name, email }, options = {}) => change('PUT', id, { name, email }, options),

    /**
     * Changes what is given; the rest stays.
     *
     * @param {string} id
     * @param {UserChange} changes
     * @param {ChangeOptions} [options]
     */
    update: (id, { name, email }, options = {}) => change('PATCH', id, { name, email }, options),

    /**
     * @param {string} id
     * @param {ChangeOptions} [options]
     * @returns {Promise<void>}
     */
    async delete(id, options = {}) {
      await change('DELETE', id, undefined, options);
    },
  };
}

/** @param {string} id */
const path = (id) => `/users/${encodeURIComponent(id)}`;

/**
 * @param {import('./http.js').Answer} answer
 * @returns {User}
 */
function user({ body, headers }) {
  const etag = headers.get('etag');
  return etag === null ? body : { ...body, etag };
}

/** @param {string | null} link */
function nextCursor(link) {
  const next = link?.split(',').find((part) => /;\s*rel="?next"?/.test(part));
  const cursor = next && /[?&]cursor=([^&>]+)/.exec(next)?.[1];
  return cursor && decodeURIComponent(cursor);
}
