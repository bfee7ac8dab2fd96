using System;

namespace Llia.Core
{
    /// <summary>The peer broke the wire protocol; the message says how. The connection is of no more use.</summary>
    public sealed class WireException : Exception
    {
        public WireException(string message) : base(message)
        {
        }
    }

    /// <summary>A header is no valid msgpack or lacks a field; the connection goes on without this message.</summary>
    public sealed class MalformedMessageException : Exception
    {
        public MalformedMessageException(string message) : base(message)
        {
        }
    }
}
