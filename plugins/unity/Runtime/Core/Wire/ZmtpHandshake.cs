using System;
using System.Text;

namespace Llia.Core
{
    /// <summary>Greeting and READY of ZMTP 3.0 with the NULL mechanism (RFC 23).</summary>
    internal static class ZmtpHandshake
    {
        private const int GreetingBytes = 64;
        private const int MechanismOffset = 12;
        private const int MechanismBytes = 20;

        /// <exception cref="WireException">The peer speaks no ZMTP 3, wants keys, or refuses; the message says which.</exception>
        public static void Run(ZmtpConnection connection, ZmtpSocketType type)
        {
            connection.SendRaw(Greeting(), 0, GreetingBytes);
            var peer = new byte[GreetingBytes];
            connection.ReadBody(peer, 0, 10); // enough to know whether the rest will ever come
            if (peer[0] != 0xff || (peer[9] & 1) == 0)
            {
                throw new WireException("what listens there speaks no ZeroMQ");
            }
            connection.ReadBody(peer, 10, GreetingBytes - 10);
            CheckGreeting(peer);
            var ready = Ready(type);
            connection.SendCommand(ready, ready.Length);
            var answer = new byte[1024];
            CheckAnswer(answer, connection.ReadCommand(answer));
        }

        private static byte[] Greeting()
        {
            var greeting = new byte[GreetingBytes];
            greeting[0] = 0xff;
            greeting[9] = 0x7f;
            greeting[10] = 3; // minor version 0: subscriptions are messages
            Encoding.ASCII.GetBytes("NULL", 0, 4, greeting, MechanismOffset);
            return greeting;
        }

        private static void CheckGreeting(byte[] peer)
        {
            if (peer[10] < 3)
            {
                throw new WireException("the peer speaks ZMTP " + peer[10] + "; version 3 is needed");
            }
            var count = 0;
            while (count < MechanismBytes && peer[MechanismOffset + count] != 0)
            {
                count++;
            }
            var mechanism = Encoding.ASCII.GetString(peer, MechanismOffset, count);
            if (mechanism != "NULL")
            {
                throw new WireException("the daemon asks for keys (" + mechanism + "), which this client cannot show; "
                    + "run it without sockets.keys, on loopback");
            }
        }

        private static byte[] Ready(ZmtpSocketType type)
        {
            // An empty Identity: the daemon knows the client again by its resume token.
            return type == ZmtpSocketType.Dealer
                ? Join(Name("READY"), Property("Socket-Type", "DEALER"), Property("Identity", ""))
                : Join(Name("READY"), Property("Socket-Type", "SUB"));
        }

        private static void CheckAnswer(byte[] command, int count)
        {
            var nameCount = count == 0 ? 0 : Math.Min((int)command[0], count - 1);
            var name = Encoding.ASCII.GetString(command, 1, nameCount);
            if (name == "READY")
            {
                return;
            }
            if (name == "ERROR" && count > 6)
            {
                var reason = Encoding.ASCII.GetString(command, 7, Math.Min((int)command[6], count - 7));
                throw new WireException("the peer refuses the connection: " + reason);
            }
            throw new WireException("the peer does not finish the ZMTP handshake");
        }

        private static byte[] Name(string text)
        {
            return Join(new[] { (byte)text.Length }, Encoding.ASCII.GetBytes(text));
        }

        private static byte[] Property(string name, string value)
        {
            return Join(Name(name), new byte[] { 0, 0, 0, (byte)value.Length }, Encoding.ASCII.GetBytes(value));
        }

        private static byte[] Join(params byte[][] parts)
        {
            var count = 0;
            foreach (var part in parts)
            {
                count += part.Length;
            }
            var joined = new byte[count];
            count = 0;
            foreach (var part in parts)
            {
                Buffer.BlockCopy(part, 0, joined, count, part.Length);
                count += part.Length;
            }
            return joined;
        }
    }
}
