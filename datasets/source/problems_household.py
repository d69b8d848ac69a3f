"""Computed problems of saving, borrowing, insurance, cards and pensions."""

from exact import F, comma as c, plain as p
from problem import Problem, kind, money

RATES = [F("1.5"), F(2), F("2.4"), F(3), F("3.5"), F(4), F("4.5"), F(5), F(6)]


@kind("savings", "simple-interest")
def simple_interest(k):
    a, r, t = k.pick(range(2000, 60001, 1000)), k.pick(RATES), k.pick(range(2, 7))
    v = a * r * t / 100
    z, e = money(v)
    return Problem(
        [f"本金{p(a)}元，年利率{p(r)}%，按单利计算，{t}年的利息是多少？",
         f"某人存入{p(a)}元，单利年利率为{p(r)}%，{t}年后共得多少利息？",
         f"借款{p(a)}元，约定单利，年利率{p(r)}%，期限{t}年，应付利息多少元？"],
        [f"What is the simple interest on ${c(a)} at {p(r)}% a year for {t} years?",
         f"${c(a)} is deposited at a simple annual rate of {p(r)}%. How much interest is earned in {t} years?",
         f"A borrower takes ${c(a)} for {t} years at {p(r)}% simple interest a year. How much interest is due?"],
        f"利息 = 本金 × 年利率 × 年数 = {p(a)} × {p(r)}% × {t} {z}。",
        f"Interest = principal × rate × years = {c(a)} × {p(r)}% × {t} {e}.",
        v, "money", [a * r / 100, a + v, a * ((1 + r / 100) ** t - 1)])


@kind("savings", "compound-amount", "compound-interest")
def compound_amount(k):
    a, r, t = k.pick(range(1000, 30001, 1000)), k.pick([F(2), F(3), F(4), F(5), F(6), F(8), F(10)]), k.pick([2, 2, 3])
    g = 1 + r / 100
    v = a * g**t
    z, e = money(v)
    return Problem(
        [f"{p(a)}元按年复利{p(r)}%存{t}年，本利和是多少？",
         f"存入{p(a)}元，年利率{p(r)}%，每年复利一次，{t}年后账户里有多少钱？",
         f"一笔{p(a)}元的投资每年增长{p(r)}%，收益全部再投入，{t}年后价值多少？"],
        [f"What does ${c(a)} grow to in {t} years at {p(r)}% a year, compounded yearly?",
         f"${c(a)} is deposited at {p(r)}% compounded once a year. What is the balance after {t} years?",
         f"An investment of ${c(a)} grows {p(r)}% a year with all gains reinvested. What is it worth after {t} years?"],
        f"本利和 = 本金 × (1 + 利率)^年数 = {p(a)} × {p(g)}^{t} {z}。",
        f"Amount = principal × (1 + rate)^years = {c(a)} × {p(g)}^{t} {e}.",
        v, "money", [a * (1 + r * t / 100), v - a, a * g ** (t - 1)])


@kind("savings", "present-value")
def present_value(k):
    r, t = k.pick([F(4), F(5), F(6), F(8), F(10)]), k.pick([1, 2, 2, 3])
    a = k.pick(range(5000, 60001, 1000))
    g = 1 + r / 100
    v = a / g**t
    z, e = money(v)
    return Problem(
        [f"{t}年后收到{p(a)}元，贴现率{p(r)}%，现值是多少？",
         f"年贴现率为{p(r)}%，{t}年后的{p(a)}元相当于今天的多少钱？",
         f"想在{t}年后拿到{p(a)}元，年收益率按{p(r)}%复利计算，现在应投入多少？"],
        [f"What is the present value of ${c(a)} due in {t} year{'s' * (t > 1)} at a discount rate of {p(r)}%?",
         f"At a yearly discount rate of {p(r)}%, what is ${c(a)} in {t} year{'s' * (t > 1)} worth today?",
         f"How much must be invested now at {p(r)}% compounded yearly to have ${c(a)} in {t} year{'s' * (t > 1)}?"],
        f"现值 = 终值 ÷ (1 + 贴现率)^年数 = {p(a)} ÷ {p(g)}^{t} {z}。",
        f"Present value = future value ÷ (1 + rate)^years = {c(a)} ÷ {p(g)}^{t} {e}.",
        v, "money", [a * g**t, a * (1 - r * t / 100), a / (1 + r * t / 100) if t > 1 else a])


@kind("savings", "annuity-future-value", "annuity")
def annuity_future_value(k):
    a, r, t = k.pick(range(1000, 20001, 1000)), k.pick([F(3), F(4), F(5), F(6), F(10)]), k.pick([2, 3])
    i = r / 100
    v = a * ((1 + i) ** t - 1) / i
    z, e = money(v)
    return Problem(
        [f"每年年末存入{p(a)}元，年复利{p(r)}%，第{t}年末共有多少钱？",
         f"普通年金每期{p(a)}元，期利率{p(r)}%，共{t}期，终值是多少？"],
        [f"${c(a)} is saved at the end of each year at {p(r)}% compound interest. What is the total after {t} years?",
         f"What is the future value of an ordinary annuity of ${c(a)} a period for {t} periods at {p(r)}% a period?"],
        f"终值 = 每期金额 × ((1 + i)^n − 1) ÷ i = {p(a)} × ({p(1 + i)}^{t} − 1) ÷ {p(i)} {z}。",
        f"Future value = payment × ((1 + i)^n − 1) ÷ i = {c(a)} × ({p(1 + i)}^{t} − 1) ÷ {p(i)} {e}.",
        v)


@kind("savings", "annuity-present-value", "annuity")
def annuity_present_value(k):
    a, r, t = k.pick(range(1000, 20001, 1000)), k.pick([F(4), F(5), F(6), F(8), F(10)]), k.pick([2, 3])
    i = r / 100
    v = a * (1 - 1 / (1 + i) ** t) / i
    z, e = money(v)
    return Problem(
        [f"今后{t}年每年年末收到{p(a)}元，贴现率{p(r)}%，现值是多少？",
         f"普通年金每期{p(a)}元，共{t}期，每期贴现率{p(r)}%，现值是多少？"],
        [f"What is the present value of ${c(a)} at the end of each of the next {t} years at a {p(r)}% discount rate?",
         f"An ordinary annuity pays ${c(a)} a period for {t} periods. What is it worth today at {p(r)}% a period?"],
        f"现值 = 每期金额 × (1 − (1 + i)^−n) ÷ i = {p(a)} × (1 − {p(1 + i)}^−{t}) ÷ {p(i)} {z}。",
        f"Present value = payment × (1 − (1 + i)^−n) ÷ i = {c(a)} × (1 − {p(1 + i)}^−{t}) ÷ {p(i)} {e}.",
        v)


@kind("savings", "perpetuity-value", "perpetuity")
def perpetuity_value(k):
    a, r = k.pick(range(300, 6001, 300)), k.pick([F(2), F(3), F(4), F(5), F(6)])
    v = a * 100 / r
    z, e = money(v)
    return Problem(
        [f"永续年金每年年末支付{p(a)}元，贴现率{p(r)}%，现值是多少？",
         f"希望每年永久发放{p(a)}元奖金，年收益率{p(r)}%，现在要准备多少本金？"],
        [f"A perpetuity pays ${c(a)} at the end of each year. What is its present value at {p(r)}%?",
         f"A fund should pay ${c(a)} a year for ever and earns {p(r)}% a year. How much capital does it need?"],
        f"现值 = 每年金额 ÷ 贴现率 = {p(a)} ÷ {p(r)}% {z}。",
        f"Present value = yearly payment ÷ rate = {c(a)} ÷ {p(r)}% {e}.",
        v, "money", [a * r / 100, a * (1 + r / 100), a * 100])


@kind("savings", "rule-of-72")
def rule_of_72(k):
    r = k.pick([F(2), F(3), F(4), F(6), F(8), F(9), F(12)])
    v = 72 / r
    return Problem(
        [f"用72法则估算，年复利{p(r)}%时资金翻一倍大约要几年？",
         f"年收益率{p(r)}%并且复利，按72法则多少年能翻倍？"],
        [f"By the rule of 72, about how many years does money take to double at {p(r)}% compound interest?",
         f"Money compounds at {p(r)}% a year. How long until it doubles, by the rule of 72?"],
        f"翻倍年数 ≈ 72 ÷ 利率百分数 = 72 ÷ {p(r)} = {p(v)}年。",
        f"Years to double ≈ 72 ÷ rate in percent = 72 ÷ {p(r)} = {p(v)} years.",
        v, "years", [100 / r, 72 * r / 10, v / 2])


@kind("savings", "real-rate", "real-interest-rate")
def real_rate(k):
    n, i = k.pick([F(4), F("4.5"), F(5), F("5.5"), F(6), F(7)]), k.pick([F(1), F("1.5"), F(2), F("2.5"), F(3)])
    v = n - i
    return Problem(
        [f"名义利率{p(n)}%，通货膨胀率{p(i)}%，实际利率近似是多少？",
         f"存款年利率为{p(n)}%，同期物价上涨{p(i)}%，购买力大约增长百分之几？"],
        [f"The nominal rate is {p(n)}% and inflation is {p(i)}%. What is the approximate real rate?",
         f"A deposit pays {p(n)}% while prices rise {p(i)}%. By about what percentage does purchasing power grow?"],
        f"实际利率 ≈ 名义利率 − 通货膨胀率 = {p(n)}% − {p(i)}% = {p(v)}%。",
        f"Real rate ≈ nominal rate − inflation = {p(n)}% − {p(i)}% = {p(v)}%.",
        v, "percent", [n + i, n, i])


@kind("loans", "equal-instalment-payment", "equal-instalment")
def equal_instalment_payment(k):
    a, m, n = k.pick(range(6000, 120001, 6000)), k.pick([F("0.3"), F("0.4"), F("0.5"), F("0.6")]), k.pick([12, 24, 36])
    i = m / 100
    g = (1 + i) ** n
    v = a * i * g / (g - 1)
    z, e = money(v)
    return Problem(
        [f"贷款{p(a)}元，月利率{p(m)}%，等额本息分{n}个月还清，每月还多少？",
         f"等额本息贷款本金{p(a)}元，期限{n}个月，月利率{p(m)}%，求每月还款额。"],
        [f"A loan of ${c(a)} at {p(m)}% a month is repaid in {n} equal monthly instalments. What is each payment?",
         f"Find the monthly payment on an equal-instalment loan of ${c(a)} over {n} months at {p(m)}% a month."],
        f"月供 = 本金 × i × (1 + i)^n ÷ ((1 + i)^n − 1)，其中 i = {p(m)}%，n = {n}，月供 {z}。",
        f"Payment = P × i × (1 + i)^n ÷ ((1 + i)^n − 1) with i = {p(m)}%, n = {n}: payment {e}.",
        v)


@kind("loans", "equal-principal-first", "equal-principal")
def equal_principal_first(k):
    n = k.pick([12, 24, 36, 60, 120])
    a = n * k.pick(range(500, 3001, 250))
    m = k.pick([F("0.3"), F("0.4"), F("0.5")])
    v = F(a, n) + a * m / 100
    z, e = money(v)
    return Problem(
        [f"等额本金贷款{p(a)}元，{n}个月还清，月利率{p(m)}%，第一个月还多少？",
         f"贷款{p(a)}元按等额本金分{n}期偿还，每期利率{p(m)}%，首期还款额是多少？"],
        [f"A ${c(a)} equal-principal loan runs {n} months at {p(m)}% a month. What is the first payment?",
         f"${c(a)} is repaid over {n} months with equal principal at {p(m)}% a month. How much is due in month one?"],
        f"首月还款 = 本金 ÷ 期数 + 本金 × 月利率 = {p(a)} ÷ {n} + {p(a)} × {p(m)}% {z}。",
        f"First payment = principal ÷ months + principal × monthly rate = {c(a)} ÷ {n} + {c(a)} × {p(m)}% {e}.",
        v, "money", [F(a, n), a * m / 100 + F(a, n) / 2, F(a, n) + a * m / 100 / n])


@kind("loans", "equal-principal-interest", "equal-principal")
def equal_principal_interest(k):
    n = k.pick([10, 12, 20, 24])
    a = n * k.pick(range(500, 3001, 250))
    m = k.pick([F("0.4"), F("0.5"), F("0.6")])
    v = a * m / 100 * (n + 1) / 2
    z, e = money(v)
    return Problem(
        [f"等额本金贷款{p(a)}元，{n}个月，月利率{p(m)}%，总利息是多少？",
         f"{p(a)}元贷款每月还同样的本金，共{n}个月，月利率{p(m)}%，一共付多少利息？"],
        [f"What is the total interest on a ${c(a)} equal-principal loan over {n} months at {p(m)}% a month?",
         f"A loan of ${c(a)} is repaid with the same principal for {n} months at {p(m)}% a month. How much interest is paid in all?"],
        f"总利息 = 本金 × 月利率 × (期数 + 1) ÷ 2 = {p(a)} × {p(m)}% × {n + 1} ÷ 2 {z}。",
        f"Total interest = principal × monthly rate × (months + 1) ÷ 2 = {c(a)} × {p(m)}% × {n + 1} ÷ 2 {e}.",
        v)


@kind("loans", "loan-to-value-ratio", "loan-to-value")
def loan_to_value_ratio(k):
    house = k.pick(range(400000, 2000001, 100000))
    v = F(k.pick(range(40, 81, 5)))
    a = house * v / 100
    return Problem(
        [f"房屋估值{p(house)}元，贷款{p(a)}元，贷款价值比是多少？",
         f"用价值{p(house)}元的房产抵押借到{p(a)}元，贷款价值比为百分之几？"],
        [f"A house is valued at ${c(house)} and the loan is ${c(a)}. What is the loan-to-value ratio?",
         f"A property worth ${c(house)} secures a loan of ${c(a)}. Find the loan-to-value ratio."],
        f"贷款价值比 = 贷款金额 ÷ 房屋价值 = {p(a)} ÷ {p(house)} = {p(v)}%。",
        f"Loan-to-value = loan ÷ property value = {c(a)} ÷ {c(house)} = {p(v)}%.",
        v, "percent", [100 - v, v / 2, v + 10])


@kind("loans", "debt-to-income-ratio", "debt-to-income")
def debt_to_income_ratio(k):
    income = k.pick(range(6000, 30001, 1000))
    v = F(k.pick(range(15, 61, 5)))
    pay = income * v / 100
    return Problem(
        [f"月收入{p(income)}元，每月各项还贷共{p(pay)}元，负债收入比是多少？",
         f"某家庭每月收入{p(income)}元，其中{p(pay)}元用于还债，求负债收入比。"],
        [f"Monthly income is ${c(income)} and loan payments total ${c(pay)}. What is the debt-to-income ratio?",
         f"A household earns ${c(income)} a month and pays ${c(pay)} on debts. Find its debt-to-income ratio."],
        f"负债收入比 = 每月还款 ÷ 月收入 = {p(pay)} ÷ {p(income)} = {p(v)}%。",
        f"Debt-to-income = monthly payments ÷ monthly income = {c(pay)} ÷ {c(income)} = {p(v)}%.",
        v, "percent", [100 - v, v + 10, v / 2])


@kind("insurance", "deductible-and-share", "deductible")
def deductible_and_share(k):
    d, own = k.pick([500, 1000, 2000, 3000]), k.pick([10, 20, 30])
    loss = d + k.pick(range(2000, 40001, 1000))
    v = (loss - d) * F(100 - own, 100)
    z, e = money(v)
    return Problem(
        [f"医疗费{p(loss)}元，免赔额{p(d)}元，超出部分自付{own}%，保险赔多少？",
         f"保单免赔额{p(d)}元，其余费用个人承担{own}%。发生费用{p(loss)}元，可获赔多少？"],
        [f"A medical bill is ${c(loss)}, the deductible ${c(d)}, and the insured pays {own}% of the rest. What does the insurer pay?",
         f"After a ${c(d)} deductible the insured bears {own}% of costs. How much is paid on a bill of ${c(loss)}?"],
        f"赔付 = (费用 − 免赔额) × (1 − 自付比例) = ({p(loss)} − {p(d)}) × {100 - own}% {z}。",
        f"Payout = (bill − deductible) × (1 − own share) = ({c(loss)} − {c(d)}) × {100 - own}% {e}.",
        v, "money", [F(loss - d), (loss - d) * F(own, 100), loss * F(100 - own, 100)])


@kind("insurance", "claim-with-cap", "sum-insured")
def claim_with_cap(k):
    cap, d = k.pick(range(20000, 100001, 10000)), k.pick([500, 1000, 2000])
    loss = k.pick(range(5000, 150001, 5000))
    v = F(min(loss - d, cap))
    over = loss - d > cap
    return Problem(
        [f"财产险保额{p(cap)}元，免赔额{p(d)}元，实际损失{p(loss)}元，最多赔多少？",
         f"损失{p(loss)}元，扣除免赔额{p(d)}元后赔付，以{p(cap)}元为限，赔款是多少？"],
        [f"A property policy has a limit of ${c(cap)} and a deductible of ${c(d)}. How much is paid for a loss of ${c(loss)}?",
         f"A loss of ${c(loss)} is paid after a ${c(d)} deductible, up to ${c(cap)}. What is the payout?"],
        f"扣除免赔额后为{p(loss)} − {p(d)} = {p(loss - d)}元，" + (f"超过限额，赔付{p(v)}元。" if over else f"未超过限额，赔付{p(v)}元。"),
        f"After the deductible: {c(loss)} − {c(d)} = {c(loss - d)}, " + (f"above the limit, so the payout is ${c(v)}." if over else f"within the limit, so the payout is ${c(v)}."),
        v)


@kind("cards", "instalment-cost", "instalment-fee")
def instalment_cost(k):
    n, r = k.pick([3, 6, 9, 12]), k.pick([F("0.5"), F("0.6"), F("0.75"), F("0.8")])
    a = k.pick(range(1200, 24001, 600))
    v = a * r * n / 100
    z, e = money(v)
    return Problem(
        [f"信用卡账单{p(a)}元分{n}期，每期手续费率{p(r)}%，手续费共多少？",
         f"把{p(a)}元账单分{n}期偿还，每期按原金额收{p(r)}%手续费，总手续费是多少？"],
        [f"A ${c(a)} card bill is split into {n} instalments with a fee of {p(r)}% of the bill each. What is the total fee?",
         f"Paying ${c(a)} in {n} months costs {p(r)}% of the original amount each month. How much is the fee in all?"],
        f"总手续费 = 账单金额 × 每期费率 × 期数 = {p(a)} × {p(r)}% × {n} {z}。",
        f"Total fee = bill × rate per instalment × instalments = {c(a)} × {p(r)}% × {n} {e}.",
        v, "money", [a * r / 100, F(a, n), v / 2])


@kind("cards", "daily-card-interest", "revolving-credit")
def daily_card_interest(k):
    a, days, r = k.pick(range(1000, 20001, 500)), k.pick([10, 15, 20, 25, 30]), k.pick([F("0.03"), F("0.04"), F("0.05")])
    v = a * r * days / 100
    z, e = money(v)
    return Problem(
        [f"信用卡欠款{p(a)}元，日利率{p(r)}%，按单利计{days}天，利息多少？",
         f"取现{p(a)}元，每天按{p(r)}%计息，{days}天后还款，利息是多少？"],
        [f"A card balance of ${c(a)} bears {p(r)}% a day, without compounding. What is the interest for {days} days?",
         f"${c(a)} is drawn in cash at {p(r)}% a day and repaid after {days} days. How much interest is due?"],
        f"利息 = 欠款 × 日利率 × 天数 = {p(a)} × {p(r)}% × {days} {z}。",
        f"Interest = balance × daily rate × days = {c(a)} × {p(r)}% × {days} {e}.",
        v)


@kind("cards", "utilization-rate", "credit-utilization")
def utilization_rate(k):
    limit, v = k.pick(range(5000, 60001, 5000)), F(k.pick(range(10, 96, 5)))
    used = limit * v / 100
    return Problem(
        [f"信用卡额度{p(limit)}元，已用{p(used)}元，额度使用率是多少？",
         f"总额度{p(limit)}元的信用卡欠款{p(used)}元，使用率为百分之几？"],
        [f"A card with a ${c(limit)} limit has ${c(used)} used. What is its utilization?",
         f"The balance is ${c(used)} and the limit ${c(limit)}. Find the credit utilization."],
        f"使用率 = 已用额度 ÷ 总额度 = {p(used)} ÷ {p(limit)} = {p(v)}%。",
        f"Utilization = used ÷ limit = {c(used)} ÷ {c(limit)} = {p(v)}%.",
        v)


@kind("pension", "contribution-amount", "contribution-base")
def contribution_amount(k):
    base, own, firm = k.pick(range(4000, 20001, 500)), k.pick([F(5), F(6), F(8)]), k.pick([F(10), F(12), F(16)])
    v = base * (own + firm) / 100
    z, e = money(v)
    return Problem(
        [f"缴费基数{p(base)}元，个人缴{p(own)}%，单位缴{p(firm)}%，每月共缴多少？",
         f"某项社会保险按基数{p(base)}元缴纳，个人和单位比例分别为{p(own)}%和{p(firm)}%，合计多少元？"],
        [f"The contribution base is ${c(base)}; the worker pays {p(own)}% and the employer {p(firm)}%. What is paid in a month?",
         f"On a base of ${c(base)}, worker and employer contribute {p(own)}% and {p(firm)}%. Find the total."],
        f"合计 = 缴费基数 × (个人比例 + 单位比例) = {p(base)} × ({p(own)}% + {p(firm)}%) {z}。",
        f"Total = base × (worker rate + employer rate) = {c(base)} × ({p(own)}% + {p(firm)}%) {e}.",
        v)


@kind("pension", "replacement-rate-value", "replacement-rate")
def replacement_rate_value(k):
    pay, v = k.pick(range(4000, 20001, 1000)), F(k.pick(range(30, 81, 5)))
    pension = pay * v / 100
    return Problem(
        [f"退休前月工资{p(pay)}元，退休后每月养老金{p(pension)}元，替代率是多少？",
         f"每月养老金{p(pension)}元，退休前工资{p(pay)}元，求养老金替代率。"],
        [f"Pay before retirement was ${c(pay)} a month and the pension is ${c(pension)}. What is the replacement rate?",
         f"A retiree receives ${c(pension)} a month after earning ${c(pay)}. Find the replacement rate."],
        f"替代率 = 养老金 ÷ 退休前工资 = {p(pension)} ÷ {p(pay)} = {p(v)}%。",
        f"Replacement rate = pension ÷ former pay = {c(pension)} ÷ {c(pay)} = {p(v)}%.",
        v, "percent", [100 - v, v / 2, v + 10])
