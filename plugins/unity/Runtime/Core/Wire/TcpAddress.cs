using System;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Llia.Core
{
    /// <summary>A ZeroMQ endpoint of the form <c>tcp://host:port</c>; IPv6 as <c>tcp://[::1]:5570</c>.</summary>
    public sealed class TcpAddress
    {
        public readonly string Host;
        public readonly int Port;

        public TcpAddress(string host, int port)
        {
            Host = host;
            Port = port;
        }

        /// <exception cref="FormatException">Not such an endpoint; the message says how it has to look.</exception>
        public static TcpAddress Parse(string text)
        {
            const string scheme = "tcp://";
            var trimmed = (text ?? "").Trim();
            var colon = trimmed.LastIndexOf(':');
            int port;
            if (!trimmed.StartsWith(scheme, StringComparison.Ordinal) || colon <= scheme.Length
                || !int.TryParse(trimmed.Substring(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port)
                || port < 1 || port > 65535)
            {
                throw new FormatException("'" + trimmed + "' is no endpoint; write tcp://127.0.0.1:5570");
            }
            var host = trimmed.Substring(scheme.Length, colon - scheme.Length).Trim('[', ']');
            return new TcpAddress(host, port);
        }

        /// <summary>Numeric addresses are taken as they are; names are looked up, IPv4 first as the daemon's default is.</summary>
        /// <exception cref="SocketException">The name is unknown.</exception>
        internal IPAddress Resolve()
        {
            IPAddress numeric;
            if (IPAddress.TryParse(Host, out numeric))
            {
                return numeric;
            }
            if (Host == "localhost")
            {
                return IPAddress.Loopback;
            }
            var found = Dns.GetHostAddresses(Host);
            foreach (var address in found)
            {
                if (address.AddressFamily == AddressFamily.InterNetwork)
                {
                    return address;
                }
            }
            if (found.Length == 0)
            {
                throw new SocketException((int)SocketError.HostNotFound);
            }
            return found[0];
        }

        public override string ToString()
        {
            var host = Host.IndexOf(':') >= 0 ? "[" + Host + "]" : Host;
            return "tcp://" + host + ":" + Port.ToString(CultureInfo.InvariantCulture);
        }
    }
}
