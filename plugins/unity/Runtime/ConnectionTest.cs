using System;
using System.Threading;
using System.Threading.Tasks;
using Llia.Core;

namespace Llia
{
    /// <summary>What a test of the connection has found.</summary>
    public struct ConnectionReport
    {
        public bool Ok;

        /// <summary>Name and version of the daemon, and how long it takes to answer; or what is wrong.</summary>
        public string Text;

        /// <summary>What to do about it; empty if all is well.</summary>
        public string Help;
    }

    /// <summary>Asks once whether a daemon answers.</summary>
    internal static class ConnectionTest
    {
        private const int PatienceMs = 4000;
        private const int LookMs = 20;

        public static async Task<ConnectionReport> RunAsync(string endpoint, CancellationToken cancellation)
        {
            LliaClient client;
            try
            {
                client = new LliaClient(new ClientSettings { ControlEndpoint = endpoint, ClientName = "unity test" });
            }
            catch (FormatException error)
            {
                return new ConnectionReport { Text = error.Message, Help = "Correct the endpoint." };
            }
            try
            {
                for (var waitedMs = 0; waitedMs < PatienceMs; waitedMs += LookMs)
                {
                    var status = client.Status;
                    if (status.State == ConnectionState.Ready && status.RoundTripMs >= 0)
                    {
                        return new ConnectionReport
                        {
                            Ok = true,
                            Text = status.Daemon + " answers in " + status.RoundTripMs.ToString("0.0") + " ms",
                            Help = "",
                        };
                    }
                    if (status.Problem.Length > 0)
                    {
                        break;
                    }
                    await Task.Delay(LookMs, cancellation);
                }
                var last = client.Status;
                return new ConnectionReport
                {
                    Text = last.Problem.Length > 0 ? last.Problem : endpoint + ": no answer in " + PatienceMs + " ms",
                    Help = ConnectionHelp.For(last, endpoint, ""),
                };
            }
            catch (OperationCanceledException)
            {
                return new ConnectionReport { Text = "the test was cancelled", Help = "" };
            }
            finally
            {
                client.Dispose();
            }
        }
    }
}
