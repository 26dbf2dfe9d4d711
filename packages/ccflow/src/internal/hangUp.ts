/** Whether the terminal was taken away: Node 20 was seen to abort when it then ends in the usual way. @internal */
export const hangUp = { seen: false }
