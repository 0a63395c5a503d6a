/*
id: C16
version: "2"
step: 3
title: Empty purpose
question: Which justifications say nothing?
severity: low
confidence: advice
needs: [requests]
optional: []
parameters:
  shortest_characters: {default: 8, doc: a justification with fewer characters says nothing}
clauses: [NIST 800-53 AC-2i]
remediation: Ask for a ticket or a minimum length in the offer; talk to the people who type a dot.
would_clear: The request names a ticket, or a justification that does not fit any request.
*/
SELECT
    request_id AS subject,
    requester AS principal,
    resource,
    '`' || requester || '` asked for `' || entitlement || '` because: `' || COALESCE(justification, '') || '`' AS summary,
    justification,
    created_at,
    state
FROM requests
WHERE created_at >= $period_start
    AND created_at < $period_end
    AND ticket IS NULL
    AND (
        length(trim(COALESCE(justification, ''))) < $shortest_characters
        OR regexp_matches(lower(justification), '^[ -/:-`{-~]*(('
            || 'a|access|again|an|and|asap|asdf|bar|baz|because|blah|check|db|debug|debugging|do|doing|fix'
            || '|fixing|foo|for|from|get|give|have|i|in|investigate|investigation|issue|it|just|maintenance'
            || '|me|my|n|na|need|needed|needs|none|now|of|ok|on|permission|please|pls|prod|production|reason'
            || '|reasons|request|requested|required|some|something|stuff|task|temp|temporary|test|testing'
            || '|the|thing|things|this|ticket|tmp|to|todo|troubleshooting|update|urgent|want|we|work|working'
            || '|x|xxx|yes|you'
            || ')([ -/:-`{-~]+|$))+$')
    )
ORDER BY 1
