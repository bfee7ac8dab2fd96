namespace Llia.Core
{
    public enum ConnectionState
    {
        /// <summary>No daemon answers; it is tried again and again.</summary>
        Disconnected,

        /// <summary>Something listens; it has not said yet that it is a daemon.</summary>
        Greeting,

        Ready,

        /// <summary>It is a daemon that this version cannot talk to; see the text.</summary>
        Refused,

        Closed,
    }

    /// <summary>How a client stands with its daemon.</summary>
    public struct ConnectionStatus
    {
        public ConnectionState State;

        /// <summary>One line for people: what is wrong, empty if nothing is.</summary>
        public string Problem;

        /// <summary>Name and version of the daemon.</summary>
        public string Daemon;

        /// <summary>Of the newest ping; -1 before the first.</summary>
        public double RoundTripMs;

        /// <summary>Times that a connection was made.</summary>
        public int Connections;

        /// <summary>Messages that could not be read.</summary>
        public long Malformed;

        /// <summary>What was wrong with the newest of them.</summary>
        public string MalformedText;
    }
}
