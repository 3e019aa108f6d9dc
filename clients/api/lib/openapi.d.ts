// Made by `npm run types` from the server's OpenAPI document: not to be edited.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description How analytics is doing, how much there is, and what happens right now. */
        Analytics: {
            checks: components["schemas"]["Checks"];
            /** @description The ten largest of the last five minutes. */
            hot: components["schemas"]["NameCount"][];
            /** @description The last fifteen, the running one last. */
            last_minutes: components["schemas"]["MinuteCount"][];
            status: components["schemas"]["HealthStatus"];
            totals: {
                /** @description The hundred largest, the largest first. */
                by_name: {
                    [key: string]: number;
                };
                /** @description All that were ever counted. */
                events: number;
            };
        };
        /** @description The replica that answers: how it is, and how much it has. */
        Chat: {
            checks: components["schemas"]["Checks"];
            /** @description Messages in all of them. */
            messages: number;
            /** @description How it calls itself. */
            replica: string;
            /** @description Rooms in which something was ever said. */
            rooms: number;
            /** @description Rooms that its sockets are in. */
            rooms_open: number;
            /** @description Sockets open on this replica. */
            sockets: number;
            status: components["schemas"]["HealthStatus"];
            uptime_s: number;
        };
        /** @description The word that a message is durable and has its place. */
        ChatAck: {
            /**
             * Format: date-time
             * @description When it was said, in UTC.
             */
            at: string;
            /** @description It was there already: this was a retry. */
            duplicate: boolean;
            id?: components["schemas"]["ChatClientId"];
            room: components["schemas"]["ChatRoomName"];
            seq: components["schemas"]["ChatSeq"];
            /** @constant */
            type: "ack";
        };
        /** @description What a socket may send: one of these, or a line of plain text, which is a message to the room given at connect. A room that is not named is that room too; an `id` is echoed by an error; null is as if it were not there. */
        ChatClientFrame: components["schemas"]["ChatSend"] | components["schemas"]["ChatJoin"] | components["schemas"]["ChatLeave"] | components["schemas"]["ChatHistoryRequest"] | components["schemas"]["ChatPing"];
        /** @description The sender's own id of a message, 1 to 64 characters without control characters: a retry with the same id never doubles. Of another frame it is what an error echoes. */
        ChatClientId: string;
        /** @description Something the client asked was not done; `id` is that of the frame it answers. */
        ChatError: {
            /** @description What a program tells errors apart by; /problems/ has a page for each. */
            code: string;
            /** @description For people. */
            detail: string;
            id?: string;
            /** @description When it is worth trying again. */
            retry_after_ms?: number;
            /** @constant */
            type: "error";
        };
        /** @description The reader was too slow: these were not sent, history has them. */
        ChatGap: {
            from: components["schemas"]["ChatSeq"];
            room: components["schemas"]["ChatRoomName"];
            to: components["schemas"]["ChatSeq"];
            /** @constant */
            type: "gap";
        };
        /** @description The replica stops: come back after a random time between these two. */
        ChatGoodbye: {
            reconnect_after_ms: number[];
            /** @constant */
            type: "goodbye";
        };
        /** @description The newest seq of each room the socket is in, with each heartbeat. */
        ChatHeads: {
            rooms: {
                [key: string]: number;
            };
            /** @constant */
            type: "heads";
        };
        ChatHistory: {
            /** @description Ascending. */
            messages: components["schemas"]["ChatMessage"][];
            /** @description There are older ones. */
            more: boolean;
            room: components["schemas"]["ChatRoomName"];
            /** @constant */
            type: "history";
        };
        /** @description Asks for what was said before a seq, or last. */
        ChatHistoryRequest: {
            before?: number | null;
            id?: components["schemas"]["ChatClientId"] | null;
            limit?: number | null;
            room?: components["schemas"]["ChatRoomName"] | null;
            /** @constant */
            type: "history";
        };
        /** @description Enters a room: live, or from behind a seq on. */
        ChatJoin: {
            after?: number | null;
            id?: components["schemas"]["ChatClientId"] | null;
            room?: components["schemas"]["ChatRoomName"] | null;
            /** @constant */
            type: "join";
        };
        /** @description From here on nothing is missed. */
        ChatJoined: {
            /** @description The seq of the newest message; 0 where nothing was said. */
            head: number;
            room: components["schemas"]["ChatRoomName"];
            /** @constant */
            type: "joined";
        };
        ChatLeave: {
            id?: components["schemas"]["ChatClientId"] | null;
            room?: components["schemas"]["ChatRoomName"] | null;
            /** @constant */
            type: "leave";
        };
        ChatLeft: {
            room: components["schemas"]["ChatRoomName"];
            /** @constant */
            type: "left";
        };
        /** @description Something that was said. */
        ChatMessage: {
            /**
             * Format: date-time
             * @description When it was said, in UTC.
             */
            at: string;
            /** @description To sockets of its sender only. */
            id?: components["schemas"]["ChatClientId"];
            room: components["schemas"]["ChatRoomName"];
            seq: components["schemas"]["ChatSeq"];
            text: string;
            /** @constant */
            type: "message";
            user: components["schemas"]["ChatUserName"];
        };
        /** @description Something to be said. */
        ChatMessageDraft: {
            id?: components["schemas"]["ChatClientId"] | null;
            text: components["schemas"]["ChatText"];
            user: components["schemas"]["ChatUserName"];
        };
        ChatPing: {
            id?: components["schemas"]["ChatClientId"] | null;
            /** @constant */
            type: "ping";
        };
        ChatPong: {
            /** @constant */
            type: "pong";
        };
        /** @description A room in which something was said. */
        ChatRoom: {
            /** @description The seq of its newest message. */
            head: components["schemas"]["ChatSeq"];
            /**
             * Format: date-time
             * @description When that was said, in UTC.
             */
            last_at: string;
            room: components["schemas"]["ChatRoomName"];
        };
        /** @description 1 to 64 of a-z 0-9 . _ - but not . or .. alone. */
        ChatRoomName: string;
        ChatSend: {
            id?: components["schemas"]["ChatClientId"] | null;
            room?: components["schemas"]["ChatRoomName"] | null;
            text: components["schemas"]["ChatText"];
            /** @constant */
            type: "send";
        };
        /** @description A place in a room's log: from 1, without holes, the same for everyone. */
        ChatSeq: number;
        /** @description What a socket is sent. One that asks with `batch=true` may get several in one text message, a line each. */
        ChatServerFrame: components["schemas"]["ChatWelcome"] | components["schemas"]["ChatJoined"] | components["schemas"]["ChatLeft"] | components["schemas"]["ChatAck"] | components["schemas"]["ChatMessage"] | components["schemas"]["ChatHistory"] | components["schemas"]["ChatHeads"] | components["schemas"]["ChatGap"] | components["schemas"]["ChatError"] | components["schemas"]["ChatPong"] | components["schemas"]["ChatGoodbye"];
        /** @description Some text without NUL. What is counted are bytes in UTF-8. */
        ChatText: string;
        /** @description 1 to 64 of A-Z a-z 0-9 . _ - */
        ChatUserName: string;
        /** @description The first frame. */
        ChatWelcome: {
            /** @description Seconds between two pings of the server. */
            heartbeat_s: number;
            replica: string;
            /** @constant */
            type: "welcome";
            user: components["schemas"]["ChatUserName"];
        };
        /** @description One thing a service depends on. */
        Check: {
            /** @description Why, when it is not well. */
            detail?: string;
            status: components["schemas"]["HealthStatus"];
        };
        /** @description By name: database, bus, of users also cache. */
        Checks: {
            [key: string]: components["schemas"]["Check"];
        };
        /** @description One event, or a list of events. Of a list each is judged alone: what is no EventDraft is told in `rejected`, and the others count. */
        EventBatch: components["schemas"]["EventDraft"] | unknown[];
        /** @description Something that happened. A field that is null is one that is missing. */
        EventDraft: {
            /**
             * Format: date-time
             * @description When, from 1970 to 24 hours ahead of our clock; now when missing.
             */
            at?: string | null;
            /** @description The sender's own id, without control characters: an event is counted once however often it is sent. A new UUIDv7 when missing. */
            id?: string | null;
            /** @description What happened. */
            name: string;
            /** @description More about it: at most 8 KiB, no text with NUL, nested at most 127 deep. Kept as it was written. */
            properties?: Record<string, unknown> | null;
            /** @description Who did it, as the sender names him, without control characters. */
            user_id?: string | null;
        };
        /** @description NDJSON: an EventDraft on each line; what is none is told in `rejected`, and the others count. */
        EventLines: string;
        /** @description What became of each event; the three together are all of them. */
        EventReceipt: {
            /** @description Stored, and counted from now on. */
            accepted: number;
            /** @description Stored before, or earlier in the same body. */
            duplicates: number;
            rejected: components["schemas"]["EventRejected"][];
        };
        /** @description An event of several that was not taken. */
        EventRejected: {
            /** @description Its first fault; /problems/ has a page for each. */
            code: string;
            /** @description For people. */
            detail: string;
            /** @description Its place in the body, from 0; blank lines have none. */
            index: number;
        };
        /** @description One thing wrong with one field of a body. */
        FieldError: {
            /** @description What a program tells faults apart by; it never changes. */
            code: string;
            /** @description For people. */
            detail: string;
            /** @description Where in the body (RFC 6901), such as /email; empty for all of it. */
            pointer: string;
        };
        /** @description How a service is doing: the worst of its checks. */
        Health: {
            checks: components["schemas"]["Checks"];
            status: components["schemas"]["HealthStatus"];
        };
        /**
         * @description pass: all well. warn: serves with less. fail: cannot serve.
         * @enum {string}
         */
        HealthStatus: "pass" | "warn" | "fail";
        /** @description A minute, and how many events happened in it. */
        MinuteCount: {
            count: number;
            /**
             * Format: date-time
             * @description Its beginning, in UTC.
             */
            minute: string;
        };
        /** @description A name, and how many events have it. */
        NameCount: {
            count: number;
            name: string;
        };
        /** @description Why a request was not done (RFC 9457). */
        Problem: {
            code: components["schemas"]["ProblemCode"];
            /** @description What is wrong this time, for people. */
            detail: string;
            /** @description What is wrong where, when it is about fields of the body. */
            errors?: components["schemas"]["FieldError"][];
            /** @description The id of this request, as in the header x-request-id. */
            request_id: string;
            status: number;
            /** @description The status in words. */
            title: string;
            /**
             * Format: uri-reference
             * @description A page with cause, cure and an example: /problems/ and the code.
             */
            type: string;
        };
        /**
         * @description What a program tells problems apart by; it never changes.
         * @enum {string}
         */
        ProblemCode: "bad_gateway" | "bad_request" | "body_interrupted" | "body_timeout" | "body_too_large" | "document_unknown" | "email_taken" | "gateway_timeout" | "head_too_large" | "internal" | "invalid_body" | "invalid_cursor" | "invalid_encoding" | "invalid_event" | "invalid_id" | "invalid_message" | "invalid_path" | "invalid_query" | "invalid_room" | "invalid_user" | "invalid_utf8" | "malformed_json" | "method_not_allowed" | "not_found" | "not_implemented" | "origin_refused" | "overloaded" | "precondition_failed" | "request_timeout" | "too_many_connections" | "too_many_events" | "unavailable" | "unsupported_media_type" | "upgrade_required" | "user_not_found" | "version_not_supported";
        /** @description What there is to know of a code. */
        ProblemPage: {
            cause: string;
            code: string;
            cure: string;
            /** @description A command that shows it, or how it is done right. */
            example: string;
            /** @description The HTTP statuses it comes with; none where it is told of a field, an event or a frame only. */
            statuses: number[];
        };
        /** @description Whether requests are worth sending. */
        Ready: {
            /** @description Why, when it is not pass. */
            detail?: string;
            status: components["schemas"]["HealthStatus"];
        };
        /** @description One replica as last seen. */
        Replica: {
            /** @description IP and port. */
            address: string;
            /**
             * Format: date-time
             * @description When that was, in UTC.
             */
            checked_at?: string;
            checks?: components["schemas"]["Checks"];
            /** @description Why it could not be asked. */
            error?: string;
            /** @description How long the last look took. */
            latency_ms?: number;
            /** @description Sockets open to it through this gateway; chat only. */
            sockets?: number;
            status: components["schemas"]["HealthStatus"];
        };
        /** @description One service. */
        ServiceStatus: {
            replicas: components["schemas"]["Replica"][];
            status: components["schemas"]["HealthStatus"];
        };
        /** @description The health of the whole system. warn: some replica is not well. fail: a service has no live replica. */
        Status: {
            services: {
                analytics: components["schemas"]["ServiceStatus"];
                chat: components["schemas"]["ServiceStatus"];
                users: components["schemas"]["ServiceStatus"];
            };
            status: components["schemas"]["HealthStatus"];
            uptime_s: number;
            version: string;
        };
        /** @description Someone with an account. */
        User: {
            /**
             * Format: date-time
             * @description When the account was made, in UTC.
             */
            created_at: string;
            email: components["schemas"]["UserEmail"];
            /**
             * Format: uuid
             * @description UUIDv7: ids in order are users in order of creation.
             */
            id: string;
            name: components["schemas"]["UserName"];
            /**
             * Format: date-time
             * @description When it was last changed, in UTC.
             */
            updated_at: string;
        };
        /** @description A user as he is to be. */
        UserDraft: {
            email: components["schemas"]["UserEmail"];
            name: components["schemas"]["UserName"];
        };
        /**
         * Format: email
         * @description An e-mail address (RFC 5321, with the letters of RFC 6531), at most 254 bytes; unique without regard to case.
         */
        UserEmail: string;
        /** @description 1 to 200 characters, none of them a control character; spaces around it are taken away. */
        UserName: string;
        /** @description What is to be changed of a user (RFC 7396); what is left out stays. */
        UserPatch: {
            email?: components["schemas"]["UserEmail"];
            name?: components["schemas"]["UserName"];
        };
        Version: {
            version: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
