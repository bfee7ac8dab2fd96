using System;

namespace Llia.Core
{
    /// <summary>The daemon refused something or did not answer; the message is one line for people.</summary>
    public sealed class LliaException : Exception
    {
        /// <summary>The daemon's error code (see the protocol), or <c>disconnected</c>, <c>timeout</c>, <c>closed</c>.</summary>
        public string Code { get; private set; }

        public LliaException(string code, string message) : base(message)
        {
            Code = code;
        }
    }
}
