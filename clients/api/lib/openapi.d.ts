// The shapes on the wire, in the form in which openapi-typescript writes them: written by hand as long as the server has no
// OpenAPI document, and by `npm run types` once it has.

export interface components {
    schemas: {
        User: {
            /** Format: uuid */
            id: string;
            name: string;
            email: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        UserDraft: {
            name: string;
            email: string;
        };
        UserChange: {
            name?: string;
            email?: string;
        };
        FieldError: {
            pointer: string;
            code: string;
            detail: string;
        };
        Problem: {
            type: string;
            title: string;
            status: number;
            code: string;
            detail: string;
            errors?: components["schemas"]["FieldError"][];
            request_id: string;
        };
        /** @enum {string} */
        HealthStatus: "pass" | "warn" | "fail";
        Check: {
            status: components["schemas"]["HealthStatus"];
            detail?: string;
        };
        Replica: {
            address: string;
            status: components["schemas"]["HealthStatus"];
            latency_ms?: number;
            /** Format: date-time */
            checked_at?: string;
            checks?: {
                [key: string]: components["schemas"]["Check"];
            };
            error?: string;
            sockets?: number;
        };
        ServiceHealth: {
            status: components["schemas"]["HealthStatus"];
            replicas: components["schemas"]["Replica"][];
        };
        Health: {
            status: components["schemas"]["HealthStatus"];
            services: {
                users: components["schemas"]["ServiceHealth"];
                chat: components["schemas"]["ServiceHealth"];
                analytics: components["schemas"]["ServiceHealth"];
            };
            version: string;
            uptime_s: number;
        };
        ChatMessage: {
            /** @constant */
            type: "message";
            room: string;
            seq: number;
            user: string;
            text: string;
            /** Format: date-time */
            at: string;
            id?: string;
        };
        Ack: {
            /** @constant */
            type: "ack";
            id?: string;
            room: string;
            seq: number;
            /** Format: date-time */
            at: string;
            duplicate: boolean;
        };
        Room: {
            room: string;
            head: number;
            /** Format: date-time */
            last_at: string;
        };
        ChatStatus: {
            status: components["schemas"]["HealthStatus"];
            checks: {
                [key: string]: components["schemas"]["Check"];
            };
            replica: string;
            uptime_s: number;
            sockets: number;
            rooms_open: number;
            rooms: number;
            messages: number;
        };
        Event: {
            id?: string;
            name: string;
            /** Format: date-time */
            at?: string;
            user_id?: string;
            properties?: {
                [key: string]: unknown;
            };
        };
        RejectedEvent: {
            index: number;
            code: string;
            detail: string;
        };
        EventsReceipt: {
            accepted: number;
            duplicates: number;
            rejected: components["schemas"]["RejectedEvent"][];
        };
        NameCount: {
            name: string;
            count: number;
        };
        AnalyticsSummary: {
            status: components["schemas"]["HealthStatus"];
            checks: {
                [key: string]: components["schemas"]["Check"];
            };
            totals: {
                events: number;
                by_name: {
                    [key: string]: number;
                };
            };
            last_minutes: {
                /** Format: date-time */
                minute: string;
                count: number;
            }[];
            hot: components["schemas"]["NameCount"][];
        };
    };
}
