using System;
using System.Diagnostics;
using System.Threading;
using NUnit.Framework;

namespace Llia.Tests
{
    internal static class Wait
    {
        public static void Until(Func<bool> condition, int mostMs = 5000)
        {
            var watch = Stopwatch.StartNew();
            while (!condition())
            {
                if (watch.ElapsedMilliseconds > mostMs)
                {
                    Assert.Fail("it did not happen within " + mostMs + " ms");
                }
                Thread.Sleep(2);
            }
        }
    }
}
