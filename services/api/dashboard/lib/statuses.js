// Where a job stands, in the order in which the page lists them.

export const STATUSES = ["running", "queued", "succeeded", "degraded", "failed", "cancelled"];
